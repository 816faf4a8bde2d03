// plant: src/log/planted.ts
// expect: banned/global:4, banned/global:5, banned/global:6, banned/global:7, banned/global:7, banned/global:8, banned/global:9, banned/global:10, banned/global:11, banned/global:12
export function planted(port: { readonly process: number; performance?: string }): unknown {
  const now = Date.now();
  const fine = performance.now();
  setTimeout(() => port.process, 1);
  queueMicrotask(() => `${port.performance} ${crypto.randomUUID()}`);
  const weak = new WeakRef({});
  const format = new Intl.NumberFormat();
  process.nextTick(() => undefined);
  console.log(weak);
  globalThis.name = "planted";
  return [now, fine, format, /Date/, "Date", `setTimeout`];
}
