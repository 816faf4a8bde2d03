// plant: src/cluster/planted.ts
// expect: banned/async:3, banned/async:4
export const planted = async (): Promise<void> => {
  await Promise.resolve();
};
