import { MillraceError } from "../base/errors.ts";
import { type BrokerId, type ClusterId, type Incarnation, type ReplicaId, toReplicaId } from "../base/ids.ts";
import { invariant } from "../base/invariant.ts";
import { type MessageOf, message, repeated, submessage } from "../protocol/codec/index.ts";
import { SeedFact } from "./facts.ts";
import { clusterIdField } from "./fields.ts";

/** The decisions of the formation (design §7), each of one moment. `Formation` puts them in order; read there why they are safe. */

/** "This cluster exists, and these disks vote": persisted before anything else is done with it. */
export const Form = message("millrace.internal.v1.Form", { clusterId: clusterIdField(1), seeds: repeated(submessage(2, SeedFact)) });
export type Form = MessageOf<typeof Form>;

export interface Seed {
  readonly id: BrokerId;
  /** "host:port" of its peer listener. */
  readonly address: string;
}

/** This broker's directory. */
export interface FormationSelf {
  readonly brokerId: BrokerId;
  readonly incarnation: Incarnation;
  readonly seeds: readonly Seed[];
}

/** What a seed said when it was asked "who are you?". */
export type SeedAnswer =
  /** Its directory is unformed. */
  | { readonly kind: "empty"; readonly incarnation: Incarnation; readonly seeds: readonly Seed[] }
  /** Its directory is formed, or it joined; `form` when it took one. */
  | { readonly kind: "belongs"; readonly clusterId: ClusterId; readonly form: Form | undefined }
  | { readonly kind: "unreachable" };

export type FormationStep =
  /** Ask again; these have not answered, or it is theirs to form. */
  | { readonly kind: "wait"; readonly for: readonly BrokerId[] }
  /** Register with that cluster as a disk it does not know. */
  | { readonly kind: "join"; readonly clusterId: ClusterId }
  /** The Form names this very disk: persist it, then vote. */
  | { readonly kind: "take"; readonly form: Form; readonly replicaId: ReplicaId }
  /** Draw a cluster id, persist the Form, only then send it to all seeds. */
  | { readonly kind: "form"; readonly seeds: Form["seeds"] }
  /** An operator's mistake: stop, and say so. */
  | { readonly kind: "refuse"; readonly error: MillraceError };

/**
 * What an unformed seed does next.
 *
 * @param answers of one round of questions by this process, by broker id; its own is not needed. A missing one counts as unreachable
 */
export function decideFormation(self: FormationSelf, answers: ReadonlyMap<BrokerId, SeedAnswer>): FormationStep {
  invariant(
    self.seeds.some(({ id }) => id === self.brokerId),
    "only a seed forms; others join",
  );
  const others = self.seeds.filter(({ id }) => id !== self.brokerId);
  const given = others.flatMap(({ id }) => {
    const answer = answers.get(id);
    return answer === undefined ? [] : [{ id, answer }];
  });

  const own = answers.get(self.brokerId);
  if (own?.kind === "empty" && own.incarnation !== self.incarnation) return { kind: "refuse", error: twoOfOneId(self.brokerId) };
  const belonging = given.flatMap(({ answer }) => (answer.kind === "belongs" ? [answer] : []));
  const clusters = [...new Set(belonging.map(({ clusterId }) => clusterId))];
  const [cluster] = clusters;
  if (clusters.length > 1) return { kind: "refuse", error: manyClusters(clusters) };
  if (cluster !== undefined) {
    const form = belonging.find((answer) => answer.form !== undefined && replicaIn(answer.form, self) !== undefined)?.form;
    const replicaId = form === undefined ? undefined : replicaIn(form, self);
    return form === undefined || replicaId === undefined ? { kind: "join", clusterId: cluster } : { kind: "take", form, replicaId };
  }

  const empty = given.flatMap(({ id, answer }) => (answer.kind === "empty" ? [{ id, answer }] : []));
  for (const { id, answer } of empty) {
    if (seedList(answer.seeds) !== seedList(self.seeds)) return { kind: "refuse", error: otherSeeds(self, id, answer.seeds) };
  }
  const silent = others.filter(({ id }) => !empty.some((each) => each.id === id)).map(({ id }) => id);
  if (silent.length > 0) return { kind: "wait", for: silent };
  const lowest = lowestOf(self.seeds);
  if (lowest !== self.brokerId) return { kind: "wait", for: [lowest] };

  const incarnations = new Map([[self.brokerId, self.incarnation], ...empty.map(({ id, answer }) => [id, answer.incarnation] as const)]);
  if (new Set(incarnations.values()).size !== incarnations.size) return { kind: "refuse", error: sameDisk() };
  return { kind: "form", seeds: inOrder(self.seeds).map((seed, at) => namedSeed(seed, incarnations.get(seed.id), at)) };
}

export type TakeFormStep =
  /** Persist it, then vote with this replica. */
  | { readonly kind: "take"; readonly form: Form; readonly replicaId: ReplicaId }
  /** This directory has it: answer that it is taken. */
  | { readonly kind: "taken" }
  /** Not this way: it names another disk under this id, or its drawer may have lost its disk since. Go on asking. */
  | { readonly kind: "ask" }
  | { readonly kind: "refuse"; readonly error: MillraceError };

/**
 * What a seed does with a Form that was sent to it.
 *
 * @param taken the cluster of this directory; undefined: unformed
 * @param askers incarnations under which the lowest seed has asked this process
 */
export function takeForm(self: FormationSelf, taken: ClusterId | undefined, askers: ReadonlySet<Incarnation>, form: Form): TakeFormStep {
  if (taken !== undefined)
    return taken === form.clusterId ? { kind: "taken" } : { kind: "refuse", error: foreign(self, taken, form.clusterId) };
  const named = form.seeds.map(({ brokerId, peerAddress }) => ({ id: brokerId, address: peerAddress }));
  if (seedList(named) !== seedList(self.seeds)) return { kind: "refuse", error: otherSeeds(self, lowestOf(named), named) };
  const drawer = form.seeds.find(({ brokerId }) => brokerId === lowestOf(named));
  const replicaId = replicaIn(form, self);
  // It may be the late copy of a drawer that has lost its disk, and the new disk that asked since may be about to form.
  if (replicaId === undefined || drawer === undefined || askers.size !== 1 || !askers.has(drawer.incarnation)) return { kind: "ask" };
  return { kind: "take", form, replicaId };
}

/**
 * The rule for a directory that took a Form: it starts only with the seeds of it. Their addresses may change.
 * @returns the mistake (INVALID_CONFIG), or undefined
 */
export function refuseOtherVoters(form: Form, seeds: readonly Seed[]): MillraceError | undefined {
  const ids = (list: readonly number[]): string => [...list].sort((a, b) => a - b).join(",");
  const formed = ids(form.seeds.map(({ brokerId }) => brokerId));
  const given = ids(seeds.map(({ id }) => id));
  if (formed === given) return undefined;
  const text = `Cannot start with the seeds ${given}: cluster ${form.clusterId}, to which this data directory belongs, was formed by the seeds ${formed}. Start it with these, or with an empty data directory to make it part of another cluster`;
  return new MillraceError("INVALID_CONFIG", text, { key: "cluster.seeds" });
}

/**
 * A broker was pointed at another cluster than the one its data directory belongs to: a majority of the seeds says so, with one voice.
 * Fewer are not believed: one stranger at a seed's address must not keep a whole cluster from starting again.
 *
 * @param seeds how many there are
 * @param answers of other seeds; "" for a directory that is unformed
 * @returns the mistake (WRONG_CLUSTER), or undefined. Nothing was written on either side
 */
export function refuseForeign(
  directory: string,
  own: ClusterId,
  seeds: number,
  answers: readonly (Seed & { readonly clusterId: string })[],
): MillraceError | undefined {
  for (const { id, address, clusterId: other } of answers) {
    const voices = answers.filter(({ clusterId }) => clusterId === other).length;
    if (other === own || other === "" || 2 * voices <= seeds) continue;
    const text = `Cannot start: ${directory} belongs to cluster ${own}, but broker ${id} at ${address} belongs to cluster ${other}. Start this broker with the seeds of its own cluster, or with an empty data directory to make it part of that one`;
    return new MillraceError("WRONG_CLUSTER", text, { cluster_id: own, other_cluster_id: other });
  }
  return undefined;
}

export function lowestOf(seeds: readonly Seed[]): BrokerId {
  const [lowest] = inOrder(seeds);
  invariant(lowest !== undefined, "a seed list is not empty");
  return lowest.id;
}

/**
 * The rule for a seed list, checked at start: 1, 3 or 5, ids and addresses distinct.
 * @returns the mistake (INVALID_CONFIG), or undefined
 */
export function refuseSeeds(seeds: readonly Seed[]): MillraceError | undefined {
  const invalid = (why: string) =>
    new MillraceError("INVALID_CONFIG", `Cannot use the seed list ${seedList(seeds)}: ${why}`, { key: "cluster.seeds" });
  if (![1, 3, 5].includes(seeds.length)) return invalid(`it has ${seeds.length} seeds; 1, 3 or 5 are allowed`);
  if (new Set(seeds.map(({ id }) => id)).size !== seeds.length) return invalid("an id stands in it twice");
  if (new Set(seeds.map(({ address }) => address)).size !== seeds.length) return invalid("an address stands in it twice");
  return undefined;
}

/** The replica of the metadata group that the Form gives to this very disk. */
export function replicaIn(form: Form, { brokerId, incarnation }: Pick<FormationSelf, "brokerId" | "incarnation">): ReplicaId | undefined {
  return form.seeds.find((seed) => seed.brokerId === brokerId && seed.incarnation === incarnation)?.replicaId;
}

function namedSeed({ id, address }: Seed, incarnation: Incarnation | undefined, at: number): Form["seeds"][number] {
  invariant(incarnation !== undefined, "every seed answered");
  // The first replicas of the metadata group are 1 … n in seed order (design §7); all later ids come from 2^20 up.
  return { brokerId: id, incarnation, replicaId: toReplicaId(at + 1), peerAddress: address };
}

/** One text per list, whatever the order it was written in. */
export function seedList(seeds: readonly Seed[]): string {
  return inOrder(seeds)
    .map(({ id, address }) => `${id}@${address}`)
    .join(",");
}

function inOrder(seeds: readonly Seed[]): readonly Seed[] {
  return [...seeds].sort((a, b) => a.id - b.id);
}

function otherSeeds(self: FormationSelf, id: BrokerId, theirs: readonly Seed[]): MillraceError {
  const text = `Cannot form a cluster: broker ${self.brokerId} has the seeds ${seedList(self.seeds)}, broker ${id} has ${seedList(theirs)}; the list must be the same on all`;
  return new MillraceError("INVALID_CONFIG", text, { key: "cluster.seeds" });
}

function manyClusters(clusters: readonly ClusterId[]): MillraceError {
  return new MillraceError("WRONG_CLUSTER", `Cannot join: the seeds belong to different clusters (${[...clusters].sort().join(", ")})`);
}

function foreign(self: FormationSelf, own: ClusterId, other: ClusterId): MillraceError {
  return new MillraceError(
    "WRONG_CLUSTER",
    `Broker ${self.brokerId} belongs to cluster ${own}; it does not take a Form of cluster ${other}`,
    { cluster_id: own },
  );
}

function twoOfOneId(id: BrokerId): MillraceError {
  return new MillraceError("DUPLICATE_BROKER", `Another broker with id ${id} answers at this broker's own peer address`);
}

function sameDisk(): MillraceError {
  return new MillraceError("DUPLICATE_BROKER", "Two seeds run on copies of one data directory; start one of them with an empty one");
}
