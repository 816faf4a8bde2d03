import type { SideThreads } from "../../base/ports/side-thread.ts";
import { Keeper, type KeeperPorts } from "./keeper.ts";
import type { KeeperNews, KeeperSpec, KeeperWord, StartKeeper } from "./keeper-words.ts";

/** On this thread: heartbeats wait for whatever else it does. For simulated runs. */
export function keeperHere(ports: KeeperPorts): StartKeeper {
  return (spec, tell) => {
    let open = true;
    const keeper = new Keeper(spec, ports, (news) => {
      if (open) tell(news);
    });
    return {
      hear: (word) => keeper.hear(word),
      close: () => {
        open = false;
        keeper.close();
      },
    };
  };
}

/** What goes to the thread of a keeper. */
export type ThreadWord = { readonly kind: "start"; readonly spec: KeeperSpec } | KeeperWord;

/** On a thread of its own: heartbeats go on while this one computes. */
export function keeperAside(threads: SideThreads): StartKeeper {
  return (spec, tell, died) => {
    const thread = threads.start((message) => tell(message as KeeperNews), died);
    thread.post({ kind: "start", spec } satisfies ThreadWord);
    return { hear: (word) => thread.post(word satisfies ThreadWord), close: () => thread.close() };
  };
}

/** What the thread itself runs. @param post to the other side @returns takes what comes from there */
export function serveKeeper(ports: KeeperPorts, post: (news: KeeperNews) => void): (message: unknown) => void {
  let keeper: Keeper | undefined;
  return (message) => {
    const word = message as ThreadWord;
    if (word.kind === "start") keeper = new Keeper(word.spec, ports, post);
    else keeper?.hear(word);
  };
}
