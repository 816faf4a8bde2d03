// Millrace itself: the built broker and the public client, default settings.
import { mkdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { execFileSync } from 'node:child_process';
import { freePorts, retry } from '../lib/procs.mjs';

export const variants = [{ id: 'ours-r1', nodes: 1 }, { id: 'ours-r3', nodes: 3 }];

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');
const main = join(root, 'dist/src/main.js');
const { connect } = await import(pathToFileURL(join(root, 'dist/src/client-entry.js')).href);

export function create({ nodes }) {
  let addresses = [];
  const open = () => connect({ brokers: addresses });
  return {
    durability: `acks=ALL: committed and fsynced on ${nodes === 1 ? 'the node' : 'all 3 in-sync replicas'} before the ack; idempotent producer`,
    async start({ dir, procs }) {
      this.version = execFileSync(process.execPath, [main, 'version'], { encoding: 'utf8' }).trim();
      const [client, peer, admin] = await Promise.all([freePorts(nodes), freePorts(nodes), freePorts(nodes)]);
      const at = (port) => `127.0.0.1:${port}`;
      const seeds = peer.map((port, i) => `${i + 1}@${at(port)}`).join(',');
      addresses = client.map(at);
      for (let i = 0; i < nodes; i++) {
        const data = join(dir, `b${i + 1}`);
        mkdirSync(data);
        const flags = ['--id', i + 1, '--data', data, '--listen', at(client[i]), '--advertise', at(client[i]), '--peer-listen', at(peer[i]), '--admin-listen', at(admin[i]), '--seeds', seeds];
        const profile = process.env.PEER_BENCH_PROFILE ? ['--cpu-prof', `--cpu-prof-dir=${process.env.PEER_BENCH_PROFILE}`, `--cpu-prof-name=broker${i + 1}.cpuprofile`] : [];
        procs.start(`b${i + 1}`, process.execPath, [...profile, main, 'broker', ...flags.map(String)]);
      }
      await retry(async () => {
        const c = open();
        try {
          const health = await c.admin().clusterHealth({ timeoutMs: 2000 });
          if (!health.healthy) throw new Error(health.reasons.map((r) => r.text).join('; '));
        } finally { await c.close(); }
      }, 60000);
    },
    async createTopic(name) {
      const c = open();
      await c.admin().createTopic({ name, partitions: 1, replicas: nodes });
      await c.close();
    },
    async deleteTopic(name) { const c = open(); await c.admin().deleteTopic(name); await c.close(); },
    async producer(name) {
      const c = open();
      const p = c.producer();
      return { publish: (value) => p.send({ topic: name, partition: 0, value }), close: () => c.close() };
    },
    async consumer(name, { from, onMessage }) {
      const c = open();
      const consumer = c.consumer();
      consumer.assign([{ topic: name, partition: 0, from: from === 'start' ? 'start' : 'end' }]);
      const running = consumer.run({
        onBatch: (batch) => {
          for (const record of batch) {
            const v = record.value;
            onMessage(Buffer.from(v.buffer, v.byteOffset, v.byteLength));
          }
        },
      });
      running.catch(() => {});
      // `end` is looked up when the stream opens: what is published from here on must be after it.
      await retry(() => c.admin().listOffsets(name), 10000);
      await new Promise((r) => setTimeout(r, 300));
      return { close: async () => { consumer.close(); await running.catch(() => {}); await c.close(); } };
    },
  };
}
