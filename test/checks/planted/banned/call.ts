// plant: src/base/planted.ts
// expect: banned/call:4, banned/call:5, banned/call:6, banned/call:7, banned/call:8, banned/call:9, banned/call:10
export async function planted(names: string[], error: Error): Promise<unknown> {
  const draw = Math.random();
  const root = Math.pow(2, 0.5);
  const signal = AbortSignal.timeout(1);
  names.sort((a, b) => a.localeCompare(b));
  const where = error.stack;
  const late = await import("./errors.ts");
  const here = import.meta.url;
  return [draw, root, signal, where, late, here, Math.max(1, 2), Math.floor(3)];
}
