// plant: src/broker/planted.ts
// expect: layers/package:3, layers/package:4, layers/package:5
import { readFile } from "node:fs/promises";
import pino from "pino";
import { status } from "@grpc/grpc-js/build/src/constants.js";
pino(readFile, status);
