// plant: src/disk/planted.ts
// expect: banned/cast:4, banned/any:5, banned/silencer:6, banned/silencer:8
const x: unknown = 1;
export const a = x as unknown as string;
export const b: any = x;
// @ts-expect-error planted
export const c: string = 1;
/* biome-ignore lint: planted */
export const d = (x as string) + "as unknown as any";
