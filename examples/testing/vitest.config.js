import { defineConfig } from "vitest/config";

// The time-out is real time, of a machine that may be busy with other things.
export default defineConfig({ test: { include: ["*.spec.js"], testTimeout: 60_000 } });
