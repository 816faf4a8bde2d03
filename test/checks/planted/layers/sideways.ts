// plant: src/log/planted.ts
// expect: layers/direction:4
import { encode } from "./model/block.ts";
import { Producer } from "../client/producer.ts";
encode(Producer);
