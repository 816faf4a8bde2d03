#!/usr/bin/env node
import { setCrc32c } from "../base/crc32c.ts";
import { createBroker } from "../broker/broker.ts";
import { crc32cNative } from "../checksum/native.ts";
import { simulate } from "./cli.ts";

setCrc32c(crc32cNative);
process.exitCode = await simulate(process.argv.slice(2), createBroker);
