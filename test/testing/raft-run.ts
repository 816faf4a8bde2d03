import { fileURLToPath } from "node:url";
import { RaftInvariants } from "../../src/testing/checkers/raft/raft-invariants.ts";
import type { ReplicaView } from "../../src/testing/checkers/raft/replica-view.ts";
import { short } from "../../src/testing/cluster/shape.ts";
import type { DiskLies } from "../../src/testing/sim/disk/device.ts";
import type { FaultTargets } from "../../src/testing/sim/faults/fault.ts";
import { FaultRun } from "../../src/testing/sim/faults/fault-run.ts";
import { Swarm } from "../../src/testing/sim/faults/plan.ts";
import type { Machine } from "../../src/testing/sim/machine.ts";
import { World } from "../../src/testing/sim/world.ts";
import { RaftProgram } from "./raft-program.ts";

const FAULTS_MS = 8_000;
const HEALED_MS = 20_000;

export interface RaftRun {
  readonly digest: string;
  readonly committed: number;
  readonly faults: number;
  readonly invariants: RaftInvariants;
}

/** One seed of three Raft cores under faults: R1 to R8 after every event, then everything heals and all must catch up. */
export async function raftRun(seed: number, print?: (line: string) => void, lies: DiskLies = {}): Promise<RaftRun> {
  const world = new World(seed, print, lies);
  const machines = [1, 2, 3].map((n) => world.machine(`r${n}`));
  const programs = new Map<Machine, RaftProgram>();
  const invariants = new RaftInvariants();
  const start = (machine: Machine) => {
    const self = Number(machine.name.slice(1));
    const ports = machine.boot();
    const program = new RaftProgram(
      ports,
      self,
      [1, 2, 3].filter((n) => n !== self),
    );
    programs.set(machine, program);
    program.start().catch((error: Error) => {
      // A disk that fails ends the process; it is started again.
      machine.crash();
      world.scheduler.after(100, "restart", () => start(machine));
      if (machine.device.failed === 0) world.scheduler.fail(error);
    });
  };
  const views = new Map(machines.map((machine, n) => [machine, viewOf(machine, n + 1, programs)]));
  world.scheduler.afterEach(() => {
    for (const [machine, view] of views) if (programs.get(machine)?.core !== undefined) invariants.observe(view);
    if (invariants.broken !== undefined) throw new Error(`seed ${seed}: ${invariants.broken}`);
  });
  for (const machine of machines) start(machine);
  let word = 0;
  const propose = () => {
    for (const program of programs.values()) if (program.propose(`w${++word}`)) break;
    if (world.random.chance(1, 100)) programs.get(world.random.pick(machines))?.transfer(1 + world.random.below(3));
    world.scheduler.after(5 + world.random.below(20), "propose", propose);
  };
  propose();
  const targets: FaultTargets = {
    world,
    machines,
    clients: [],
    restart: start,
    stop: (machine) => {
      machine.crash();
      start(machine);
    },
    mayLoseDisk: () => false,
    loseDisk: () => {},
    damaged: () => {},
    forgets: () => {},
    swapDisks: () => () => {},
    leaders: () => machines.filter((machine) => machine.running && programs.get(machine)?.core?.role === "leader"),
  };
  // No clients, no log store that would wait for a failed or full disk, and no checksums.
  const swarm = new Swarm(world.random.fork("faults"), short.faults, [
    "disk-failure",
    "disk-full",
    "changed-bytes",
    "split-clients",
    "wiped-disk",
    "restored-disk",
  ]);
  const faults = new FaultRun(targets);
  faults.begin(swarm.plan(FAULTS_MS));
  await world.scheduler.run(FAULTS_MS);
  faults.end();
  world.network.heal();
  for (const machine of machines) if (!machine.running) start(machine);
  const target = word + 5;
  const caughtUp = () => {
    const cores = [...programs.values()].map((program) => program.core);
    const most = Math.max(...cores.map((core) => core?.lastIndex ?? 0));
    return word > target && cores.every((core) => core !== undefined && core.commit > most - 20 && core.term === cores[0]?.term);
  };
  if (!(await world.scheduler.run(world.now + HEALED_MS, caughtUp)))
    throw new Error(`seed ${seed}: no progress ${HEALED_MS} ms after all was healed`);
  const committed = Math.min(...[...programs.values()].map((program) => program.core?.commit ?? 0));
  return { digest: world.scheduler.trace.digest, committed, faults: faults.fired.length, invariants };
}

function viewOf(machine: Machine, replica: number, programs: ReadonlyMap<Machine, RaftProgram>): ReplicaView {
  const core = () => {
    const found = programs.get(machine)?.core;
    if (found === undefined) throw new Error(`${machine.name} has no core`);
    return found;
  };
  const voters = [1, 2, 3];
  return {
    group: 1,
    replica,
    get life() {
      return machine.lives;
    },
    get role() {
      return machine.running ? core().role : "dead";
    },
    get term() {
      return core().term;
    },
    votedFor: undefined,
    get durableTerm() {
      return core().durableTerm;
    },
    get durableVote() {
      return core().durableVote;
    },
    get commit() {
      return core().commit;
    },
    get durable() {
      return core().durable;
    },
    startIndex: 0,
    get lastIndex() {
      return core().lastIndex;
    },
    voters,
    oldVoters: undefined,
    termAt: (index) => core().termAt(index as never),
    hashAt: (index) => programs.get(machine)?.entries[index - 1]?.payload ?? "no-op",
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [from, to] = [Number(process.argv[2]), Number(process.argv[3] ?? process.argv[2])];
  let committed = 0;
  let faults = 0;
  for (let seed = from; seed <= to; seed++) {
    const run = await raftRun(seed, process.argv[4] === "--trace" ? (line) => process.stdout.write(`${line}\n`) : undefined);
    committed += run.committed;
    faults += run.faults;
  }
  process.stdout.write(`${to - from + 1} seeds, ${committed} entries committed, ${faults} faults\n`);
}
