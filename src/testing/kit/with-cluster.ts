import { startCluster, type TestCluster } from "./cluster.ts";
import type { ClusterOptions } from "./options.ts";
import { howToRepeat } from "./seed.ts";

/**
 * A cluster for as long as `body` takes. When it fails, the seed that repeats it is said on stderr; the error is passed on as it is.
 *
 * @throws {TestClusterError} INVALID_OPTION, and whatever `body` throws
 */
export async function withCluster<T>(options: ClusterOptions, body: (cluster: TestCluster) => Promise<T>): Promise<T> {
  const cluster = await startCluster(options);
  try {
    return await body(cluster);
  } catch (error) {
    process.stderr.write(`millrace/testing: failed at ${cluster.now.toFixed(3)} ms of virtual time with ${howToRepeat(cluster.seed)}\n`);
    throw error;
  } finally {
    await cluster.close();
  }
}
