// plant: src/utils/planted.ts
// expect: layers/unknown-folder:0
export const planted = 1;
