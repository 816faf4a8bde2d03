import type { LogLevel } from "./ports/telemetry.ts";

/** What one line of the log is about. */
export interface EventSpec {
  readonly level: LogLevel;
  /** Names a line may carry besides `time`, `level`, `event` and `broker`; never record payloads. */
  readonly fields: readonly string[];
  /** What happened, one sentence. */
  readonly means: string;
  /** What a person does about it. */
  readonly todo: string;
}

const NOTHING = "Nothing.";

/**
 * Every event a broker, client or tool may log, by its stable id `area.what_happened`. `Telemetry.log` takes no other, and no field that
 * does not stand here; docs/events.md is made from this table, and `test/telemetry/events.test.ts` refuses a row that nothing logs.
 */
export const events = {
  "broker.heartbeat_failed": {
    level: "debug",
    fields: ["code"],
    means: "The controller did not take a heartbeat; it is repeated.",
    todo: "Nothing, unless `cluster health` names the broker: it gets no new replicas while it is not heard of.",
  },
  "broker.id_taken": {
    level: "warn",
    fields: ["brokerId", "waitMs", "reason"],
    means:
      "Another disk is registered under this broker's id, and its session is not over: most likely the one this broker had before. It is waited for; when the other one is still there after that many milliseconds, this broker ends with `DUPLICATE_BROKER`.",
    todo: "Nothing, if this broker's disk was emptied or replaced. Otherwise two brokers were given one id: stop the wrong one.",
  },
  "broker.registered": {
    level: "info",
    fields: ["brokerEpoch"],
    means: "The controller has registered this broker.",
    todo: NOTHING,
  },
  "broker.fenced": {
    level: "warn",
    fields: ["recoveryEpoch"],
    means:
      "The metadata was recovered after a lost majority, without this broker's disk: the broker ends, and joins what was recovered at its next start.",
    todo: "Start it again. What it held of recovered groups is set aside in `groups/`, not deleted.",
  },
  "broker.level_raised": {
    level: "info",
    fields: ["featureLevel", "since"],
    means: "Every registered broker understands this feature level: what it brought is used from now on.",
    todo: "Know that no broker can go back to a version of before `since`.",
  },
  "broker.level_unsupported": {
    level: "warn",
    fields: ["reason"],
    means: "The cluster is at a feature level that this broker's version does not understand: it ends with `UNSUPPORTED_FEATURE_LEVEL`.",
    todo: "Start it with the version that `reason` names. Its data is whole.",
  },
  "broker.outdated": {
    level: "warn",
    fields: ["address", "reason"],
    means:
      "The broker at that address would not register this one: the metadata was recovered without this broker's disk. The seeds are asked; when one of them says so too, this broker ends (`broker.fenced`).",
    todo: "Nothing when `broker.fenced` follows: start the broker again. Otherwise see that this broker reaches the seeds of the cluster.",
  },
  "broker.running": {
    level: "info",
    fields: ["clientAddress", "peerAddress"],
    means: "The broker listens and has joined its cluster; `/readyz` answers 200 from now on.",
    todo: NOTHING,
  },
  "broker.stopping": {
    level: "info",
    fields: [],
    means: "The broker hands over its leaderships and stops, as SIGTERM asked.",
    todo: NOTHING,
  },
  "client.call_repeated": {
    level: "debug",
    fields: ["path", "address", "code", "failures"],
    means: "A call was sent again after a failure that left nothing behind.",
    todo: NOTHING,
  },
  "consumer.assigned": {
    level: "info",
    fields: ["group", "partitions", "memberEpoch"],
    means: "A group consumer was given so many partitions more.",
    todo: NOTHING,
  },
  "consumer.callback_failed": {
    level: "error",
    fields: ["group", "callback", "reason"],
    means: "What an application wants to be called with when partitions come or go threw an error. Nothing else follows from that.",
    todo: "Mend the callback.",
  },
  "consumer.commit_refused": {
    level: "warn",
    fields: ["group", "topic", "partition", "offset", "code"],
    means:
      "Records up to this offset were processed, but their commit was refused: they are processed once more by whoever has the partition now. At most ten partitions of one commit are told.",
    todo: "Nothing, after a pause of the whole process; otherwise see `code` in docs/errors.md.",
  },
  "consumer.handler_failed": {
    level: "warn",
    fields: ["group", "topic", "partition", "offset", "failures", "reason"],
    means: "A handler threw at this record, the so many-th time in a row. What follows is what `onError` says.",
    todo: "Mend the handler, or let it be skipped (`skipAndReportTo`): the partition stands still until then.",
  },
  "consumer.heartbeat_failed": {
    level: "warn",
    fields: ["group", "code", "failures"],
    means: "So many heartbeats of a group consumer in a row were not answered, or it may not join yet. It goes on trying.",
    todo: "See whether brokers can be reached; with `INSTANCE_ID_IN_USE`, whether another process has the same instance id.",
  },
  "consumer.lost": {
    level: "warn",
    fields: ["group", "partitions", "code"],
    means: "A group consumer is no member any more, or gave a partition up: so many partitions are others' to process. It joins again.",
    todo: "Nothing, after a pause of the whole process; if it comes again and again, see `code` in docs/errors.md.",
  },
  "consumer.not_located": {
    level: "debug",
    fields: ["topic", "partitions", "code", "failures"],
    means: "Where partitions that were added begin could not be found; it is asked again, and the others are read meanwhile.",
    todo: NOTHING,
  },
  "consumer.offset_reset": {
    level: "warn",
    fields: ["group", "topic", "partition", "from", "offset"],
    means: "The log does not hold the committed offset any more; the group goes on at `offset`, as `outOfRange` says.",
    todo: "See whether retention is long enough for how far the group is behind.",
  },
  "consumer.report_failed": {
    level: "warn",
    fields: ["group", "topic", "partition", "offset", "to", "code", "reason"],
    means:
      "A record its handler could not take could not be written to the topic that `skipAndReportTo` names, `to`. The handler is called again with it, and nothing behind it is handled.",
    todo: "See `code` in docs/errors.md: make the topic, or let it take what is as large as the record and its headers.",
  },
  "consumer.revoked": {
    level: "info",
    fields: ["group", "partitions"],
    means: "A group consumer gives so many partitions back: others have joined, or it is being closed.",
    todo: NOTHING,
  },
  "consumer.skipped": {
    level: "warn",
    fields: ["group", "topic", "partition", "offset"],
    means: "A record its handler could not take was written to the topic that `skipAndReportTo` names, and the group goes on behind it.",
    todo: "Look at it there: its headers say where it comes from and why.",
  },
  "consumer.stream_broke": {
    level: "debug",
    fields: ["address", "topic", "code"],
    means: "A subscription broke and is being opened again from where it was.",
    todo: NOTHING,
  },
  "controller.active": {
    level: "info",
    fields: ["term"],
    means: "This broker leads the metadata group: it is the controller.",
    todo: NOTHING,
  },
  "disk.full": {
    level: "warn",
    fields: ["freeBytes", "reserveBytes", "path"],
    means: "The disk has less free than `disk.reserve.bytes`, or a write (`path`) found no room: no more records are taken here.",
    todo: "Free space or enlarge the disk; it goes on by itself. What it leads goes to in-sync replicas with room (`disk.handed_over`).",
  },
  "disk.handed_over": {
    level: "info",
    fields: ["partition", "replicaId"],
    means: "The disk is full, and the leadership of a partition went to an in-sync replica whose disk has room.",
    todo: "As for disk.full: this broker is in no in-sync replicas until it has room.",
  },
  "disk.room": {
    level: "info",
    fields: ["freeBytes", "reserveBytes"],
    means: "The disk has room again: records are taken.",
    todo: NOTHING,
  },
  "formation.formed": {
    level: "info",
    fields: ["clusterId"],
    means: "A cluster was formed; this directory belongs to it from now on.",
    todo: "Nothing, when it is the first start of a new cluster. Otherwise stop the broker: every seed came up with an empty directory.",
  },
  "formation.joined": {
    level: "info",
    fields: ["clusterId"],
    means: "A cluster was joined; this directory belongs to it from now on.",
    todo: NOTHING,
  },
  "formation.unreachable": {
    level: "debug",
    fields: ["address", "reason"],
    means: "A seed could not be asked whether there is a cluster.",
    todo: "Start that seed, or correct `cluster.seeds`: a cluster is formed only when every seed answers.",
  },
  "formation.waiting": {
    level: "debug",
    fields: ["for"],
    means: "Formation waits for seeds that have not answered yet.",
    todo: "Start the seeds it names.",
  },
  "grpc.handler_failed": {
    level: "error",
    fields: ["path", "error", "stack"],
    means: "A handler threw what is no expected failure: a bug. The caller saw INTERNAL without details.",
    todo: "Report it, with the stack.",
  },
  "groups.lost": {
    level: "warn",
    fields: ["partition", "reason"],
    means: "What consumer groups of this partition of `__groups` recorded is damaged on every replica: their calls are answered by nobody.",
    todo: "Bring a disk back that has it; no other group is touched.",
  },
  "groups.snapshot": {
    level: "info",
    fields: ["partition", "index"],
    means: "This broker wrote a snapshot of the consumer groups in a partition of `__groups`.",
    todo: NOTHING,
  },
  "groups.snapshot_damaged": {
    level: "warn",
    fields: ["partition", "path", "position", "what"],
    means:
      "A snapshot of consumer groups is not what was written, or none is left (`path` is their folder); an older one, or one of another broker, takes its place.",
    todo: "Look at the disk: it gives back other bytes than it was given.",
  },
  "groups.snapshot_postponed": {
    level: "warn",
    fields: ["partition"],
    means: "A snapshot of consumer groups found no room on the disk; it is tried again after as many bytes.",
    todo: "Make room on the disk.",
  },
  "log.configuration_proved": {
    level: "warn",
    fields: ["group", "index"],
    means:
      "A damaged write-ahead log forgot which replicas of a group vote as of this index. The newest segment says it, and that is believed.",
    todo: "Nothing for this group. Look at the disk: its write-ahead log was damaged (log.wal_found_damaged).",
  },
  "log.folder_set_aside": {
    level: "warn",
    fields: ["folder", "aside"],
    means: "A damaged write-ahead log forgot whose this folder is; it was renamed, and its replica is made again from its peers.",
    todo: "Remove it when the partition is in sync again; keep it when there is no other replica.",
  },
  "log.footer_rebuilt": {
    level: "warn",
    fields: ["path", "position"],
    means: "The footer of a segment was missing or bad and was made again from the frames.",
    todo: "Nothing, once. Again and again it says that the disk changes what was written: replace it.",
  },
  "log.frames_proved": {
    level: "warn",
    fields: ["group", "first", "last"],
    means: "A damaged write-ahead log forgot that frames first to last of a group were synced. The segments hold them, and they stay.",
    todo: "Nothing for these frames. Look at the disk: its write-ahead log was damaged (log.wal_found_damaged).",
  },
  "log.groups_max": {
    level: "error",
    fields: ["groups", "bytes"],
    means:
      "What the write-ahead log says of so many groups takes as much of a file of it (`bytes`) as may be: one more group is refused here, because a ring full of them could never let a file go.",
    todo: "Move replicas to other brokers. `wal.file.bytes` counts for new disks only: a broker that comes back with an empty one may have larger files.",
  },
  "log.hole_found": {
    level: "error",
    fields: ["group", "path", "position", "first", "last", "what"],
    means:
      "Frames first to last of a group are damaged here, from this byte of this file on. The replica is in no in-sync replicas until they are copied from another one.",
    todo: "Look at the disk. Without log.hole_repaired soon, look whether other replicas run.",
  },
  "log.hole_repaired": {
    level: "info",
    fields: ["group", "path", "frames", "left"],
    means: "A damaged segment was written anew with frames of another replica; left says how many holes nobody could fill.",
    todo: NOTHING,
  },
  "log.index_rebuilt": {
    level: "warn",
    fields: ["path", "position"],
    means: "The index of a segment was missing or bad and was made again from the segment.",
    todo: "Nothing, once. Again and again it says that the disk changes what was written: replace it.",
  },
  "log.doubted": {
    level: "warn",
    fields: ["group"],
    means:
      "This replica was found to lack what it once acknowledged. It neither votes nor counts until the others told it what it may have forgotten.",
    todo: "See that the other replicas of the group run: they end it. Find out how the disk lost what was written (an old copy, a drive that lies).",
  },
  "log.peer_remembers_more": {
    level: "warn",
    fields: ["broker", "blockSequence", "here"],
    means:
      "Another broker heard of more blocks of this disk than it holds: it is an old copy of itself, or its newest blocks were lost. Every replica here is doubted.",
    todo: "A copy is started with `--new-incarnation`; without one, look at the disk. The other brokers end the doubt by themselves.",
  },
  "log.producers_lost": {
    level: "warn",
    fields: ["group", "path"],
    means:
      "Neither the oldest segment nor anything else here says any more which producers wrote before it: a retry of the first batch of one that wrote nothing since may be taken for new; the records it repeats were trimmed away.",
    todo: "See whether a producer wrote a record twice around this time; producers that start anew are not concerned.",
  },
  "log.repair_unreadable": {
    level: "error",
    fields: ["path"],
    means: "A segment that was just written anew reads back otherwise; it was not taken.",
    todo: "Look at the disk: it does not keep what it is given.",
  },
  "log.ring_grew": {
    level: "warn",
    fields: ["files"],
    means:
      "Votes, or records without which a leader can commit nothing, had no room in the write-ahead log, because what keeps its files cannot be committed: it gets a file more than `wal.files.max`.",
    todo: "See which followers are slow or gone (`cluster health`). The file stays; `wal.files.max` may be raised to what there is.",
  },
  "log.ring_outgrown": {
    level: "warn",
    fields: ["files"],
    means:
      "Records without which a leader can commit nothing have no room in the write-ahead log, and it has grown to twice `wal.files.max` already: partitions may stay without service.",
    todo: "Bring back the brokers that are gone; if that does not end it, raise `wal.files.max` on this broker and start it again.",
  },
  "log.ring_pinned": {
    level: "warn",
    fields: ["bytes", "files"],
    means: "Much of the oldest file of the write-ahead log waits to be committed, so the file cannot be used again yet.",
    todo: "See which followers are slow or gone (`cluster health`) and bring those back; if that cannot be, or they are well, start this broker again, with a larger `wal.files.max`.",
  },
  "log.segment_examined": {
    level: "warn",
    fields: ["path", "position", "what"],
    means: "A reader came upon bytes that are not what was written; the whole segment is looked at.",
    todo: "Look at the disk when it comes again.",
  },
  "log.trim_obeyed": {
    level: "info",
    fields: ["group", "index"],
    means:
      "Damaged frames up to this index are trimmed away everywhere else, or passed over by a snapshot here: the log begins behind them now, as if the trim had not been lost.",
    todo: NOTHING,
  },
  "log.unknown_folder": {
    level: "warn",
    fields: ["folder"],
    means: "A folder of groups belongs to a replica that this log never knew; it is left alone.",
    todo: "Find out who put it there; it may be removed while the broker is stopped.",
  },
  "log.wal_damaged": {
    level: "error",
    fields: ["path", "what"],
    means: "A reader found the write-ahead log damaged; the read failed with DATA_LOSS.",
    todo: "Look at the disk, and stop the broker before it is asked for more.",
  },
  "log.wal_found_damaged": {
    level: "error",
    fields: ["path", "position", "what"],
    means:
      "The write-ahead log does not hold what was promised, from this byte of this file on. What is still proved goes on; log.wal_salvaged says how much.",
    todo: "Look at the disk before the next broker has the same.",
  },
  "log.wal_salvaged": {
    level: "warn",
    fields: ["groups", "doubted", "forgot"],
    means:
      "What is left of a damaged write-ahead log: so many groups, of which the doubted ones neither vote nor count until the others told them what they may have forgotten.",
    todo: "See that the other replicas of these groups run: they end it.",
  },
  "log.write_failed": {
    level: "error",
    fields: ["error"],
    means: "A write or sync of the log failed; the broker stops.",
    todo: "Look at the disk (space, quota, kernel log), then start the broker again: it recovers what was acknowledged.",
  },
  "metadata.recovered": {
    level: "warn",
    fields: ["recoveryEpoch", "replicaId"],
    means: "An operator has given up the other replicas of the metadata: the one on this broker goes on alone.",
    todo: "Start or replace the other brokers; they get new replicas by themselves.",
  },
  "metadata.role": {
    level: "info",
    fields: ["role", "term"],
    means: "This broker's role in the metadata group changed.",
    todo: NOTHING,
  },
  "metadata.snapshot": {
    level: "info",
    fields: ["index"],
    means: "This broker wrote a snapshot of the metadata.",
    todo: NOTHING,
  },
  "metadata.snapshot_damaged": {
    level: "warn",
    fields: ["path", "position", "what"],
    means:
      "A snapshot of the metadata is not what was written, or none is left (`path` is their folder); an older one, or one of another broker, takes its place.",
    todo: "Look at the disk: it gives back other bytes than it was given.",
  },
  "metadata.snapshot_postponed": {
    level: "warn",
    fields: [],
    means: "A snapshot of the metadata found no room on the disk; it is tried again after as much metadata.",
    todo: "Make room on the disk.",
  },
  "metadata.tail_failed": {
    level: "warn",
    fields: ["source", "reason"],
    means: "The metadata log could not be followed from a broker; another one is tried.",
    todo: "Nothing, unless it goes on: then see whether the seeds can be reached.",
  },
  "partition.deleted": {
    level: "info",
    fields: ["partition", "groupId"],
    means: "A replica and its files were removed, because its topic was deleted.",
    todo: NOTHING,
  },
  "partition.fenced": {
    level: "warn",
    fields: ["groupId", "replicaId"],
    means: "A recovery has given up the replica of this partition that was here; what it had in segments is set aside in `groups/`.",
    todo: "Nothing, or look into the folder with `millrace debug log-dump` for records that were lost; then remove it.",
  },
  "partition.recovered": {
    level: "warn",
    fields: ["partition", "groupId", "recovery"],
    means: "An operator has given up the other replicas of this partition: the one on this broker goes on alone.",
    todo: "Start or replace the other brokers; they get new replicas by themselves.",
  },
  "partition.role": {
    level: "info",
    fields: ["partition", "role", "term"],
    means: "This broker's role in a partition changed.",
    todo: "Nothing, once. Terms that rise without a broker stopping say that heartbeats come late: look at `nodejs_eventloop_lag_p99_seconds` and the network.",
  },
  "recovery.applied": {
    level: "warn",
    fields: ["digest", "metadata", "partitions"],
    means: "A plan of `millrace recover` was confirmed and is being applied by this broker.",
    todo: "Keep the plan: it says what was given up. Then start or replace the other brokers.",
  },
  "replica.replacing": {
    level: "info",
    fields: ["groupId", "replicaId", "brokerId"],
    means: "The disk of this replica is gone; the controller has a new one made on the disk its broker has now.",
    todo: "Nothing; `cluster health` names what is still missing.",
  },
  "replica.adopted": {
    level: "warn",
    fields: ["groupId", "replicaId", "brokerId"],
    means: "A replica that votes was placed nowhere: the metadata went on from a moment before it was. It is placed again.",
    todo: "Nothing; `cluster health` names what is still missing.",
  },
  "replica.kept": {
    level: "info",
    fields: ["partition", "replicaId", "instead"],
    means: "The disk of a replica that was being replaced is back, and that of its successor is gone: the replica stays.",
    todo: NOTHING,
  },
  "replica.replaced": {
    level: "info",
    fields: ["partition", "removing", "replicaId"],
    means: "A new replica votes in the place of one whose disk is gone.",
    todo: NOTHING,
  },
  "replica.set_aside": {
    level: "warn",
    fields: ["partition", "groupId", "replicaId"],
    means: "Another disk took this one's place while it was away. The replica here belonged to nobody any more; its folder was renamed.",
    todo: "Remove `groups/*.replaced` once `cluster health` is well.",
  },
  "peer.back": {
    level: "info",
    fields: ["broker"],
    means: "A broker that was gone answers again.",
    todo: NOTHING,
  },
  "peer.bad_message": {
    level: "warn",
    fields: ["remote", "reason"],
    means: "A broker sent what cannot be read; its connection was closed.",
    todo: "See that only brokers reach the peer port, and that no middlebox changes bytes.",
  },
  "peer.gone": {
    level: "info",
    fields: ["broker"],
    means: "A broker lost all its connections and counts as dead until it is back.",
    todo: "If nobody stopped it: look at its log and at the network between.",
  },
  "peer.handshake_failed": {
    level: "debug",
    fields: ["remote", "reason"],
    means: "A connection was refused by the hello of one side.",
    todo: "The reason says whether it belongs to another cluster or is no broker.",
  },
  "peer.level_unsupported": {
    level: "warn",
    fields: ["broker", "address", "reason"],
    means:
      "A broker that this one dials does not understand the feature level of the cluster: it is left outside, and asked every second or two whether it does by now. Told once.",
    todo: "Start that broker with the version that `reason` names. Its data is whole.",
  },
  "peer.unreachable": {
    level: "info",
    fields: ["broker", "address", "kind", "reason"],
    means: "A broker cannot be dialled; it is tried again.",
    todo: "Start it, or see whether its `peer.advertise` can be reached from here.",
  },
  "process.dies": {
    level: "error",
    fields: ["what", "error"],
    means: "The broker cannot go on: its storage failed, or there is a bug. It ends at once, exit 1.",
    todo: "The error says which. After a failed disk: mend it, start the broker again. A bug: report it.",
  },
  "process.listening_openly": {
    level: "warn",
    fields: ["warning"],
    means: "A listener can be reached from other machines without encryption or authentication.",
    todo: "See that only those who may write and read everything can reach it.",
  },
  "process.few_threads": {
    level: "info",
    fields: ["threads", "wanted"],
    means:
      "The pool of threads that file system calls wait on is smaller than a broker wants; its size is settled before a process starts.",
    todo: "Start brokers with `UV_THREADPOOL_SIZE=8` in their environment, as `millrace dev` does.",
  },
  "process.node_old": {
    level: "warn",
    fields: ["warning"],
    means: "This Node gets no security fixes any more.",
    todo: "Run the broker on a Node that does.",
  },
  "producer.batch_failed": {
    level: "warn",
    fields: ["topic", "partition", "records", "code"],
    means: "A batch was given up; its records were told why.",
    todo: "The code says whether they may have been written ([errors.md](errors.md)).",
  },
  "producer.no_identity": {
    level: "warn",
    fields: ["code", "attempt"],
    means: "No idempotent producer id could be had; it is asked for again.",
    todo: "See whether the cluster has a controller (`cluster health`).",
  },
  "producer.resend": {
    level: "debug",
    fields: ["topic", "partition", "batches", "pauseMs"],
    means: "A batch is sent again under the same sequence.",
    todo: NOTHING,
  },
  "repair.failed": {
    level: "error",
    fields: ["group", "error"],
    means: "A damaged segment could not be written anew; it is tried again.",
    todo: "Look for room on the disk.",
  },
  "retention.suspended": {
    level: "warn",
    fields: ["jumpMs", "aheadMs", "clocks"],
    means:
      "The wall clock jumped, is more than a minute off the median of the brokers' clocks, or no other broker's was heard since the start: nothing is let go of because of its age. A jump is believed when it was kept for an hour.",
    todo: "See that the clock of this machine is right, and those of the others; clocks says how many were compared.",
  },
  "retention.trimmed": {
    level: "info",
    fields: ["partition", "start"],
    means: "Records that retention.ms or retention.bytes need not keep are let go of; the log begins at `start`.",
    todo: NOTHING,
  },
  "scrub.done": {
    level: "info",
    fields: ["bytes", "segments", "rebuilt", "seconds"],
    means: "Everything stored was read and checked once; what was damaged was told as log.hole_found.",
    todo: NOTHING,
  },
} as const satisfies Readonly<Record<string, EventSpec>>;

export type EventId = keyof typeof events;

/** The level an event is logged at: one each. */
export type EventLevel<Id extends EventId> = (typeof events)[Id]["level"];

/** The fields an event may carry. */
export type EventFields<Id extends EventId> = Readonly<
  Partial<Record<(typeof events)[Id]["fields"][number], string | number | boolean | undefined>>
>;
