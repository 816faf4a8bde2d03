#!/usr/bin/env node
process.stderr.write("millrace: not built yet\n");
process.exitCode = 1;
