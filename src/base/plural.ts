/** "1 record", "2 records", "0 records". @param many for words that do not just take an s */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}
