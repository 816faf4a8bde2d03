async function work(): Promise<number> {
  return 1;
}
export function planted(list: number[], value: any): void {
  work();
  list.forEach(async () => {
    await work();
  });
  var unformatted = value;
  if (unformatted == 1) list.push( 1 )
}
