export { openDisk } from "./node-disk.ts";
