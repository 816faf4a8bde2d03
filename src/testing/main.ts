#!/usr/bin/env node
import { createBroker } from "../broker/broker.ts";
import { simulate } from "./cli.ts";

process.exitCode = await simulate(process.argv.slice(2), createBroker);
