import type { MillraceError } from "../../../../base/errors.ts";
import type { ClientStream, ClientStreamHandlers, RpcChannel, RpcClient, RpcFailure } from "../../../../base/ports/rpc-client.ts";
import { GroupService, LogService } from "../../../../protocol/methods.ts";
import { SessionRequest, SessionResponse } from "../../../../protocol/public.ts";
import { failureOf } from "./calls.ts";
import type { HeardMember, Note } from "./heard-member.ts";
import { SessionBook } from "./session-book.ts";

/** The network of a client as it is; what a member of a group says and hears over it is written down on the way. */
export function overheard(rpc: RpcClient, member: HeardMember): RpcClient {
  return { channel: (address) => overheardChannel(rpc.channel(address), member) };
}

function overheardChannel(channel: RpcChannel, member: HeardMember): RpcChannel {
  return {
    address: channel.address,
    close: () => channel.close(),
    openStream: (path, kind, options) => {
      const stream = channel.openStream(path, kind, options);
      return path === GroupService.Session.path ? new OverheardSession(stream, member) : stream;
    },
    unary: async (path, request, options) => {
      const note = hears[path]?.(member, request);
      if (note === undefined) return channel.unary(path, request, options);
      const ended = member.awaits(note);
      try {
        const answer = await channel.unary(path, request, options);
        ended({ answer });
        return answer;
      } catch (error) {
        ended(failureOf(error));
        throw error;
      }
    },
  };
}

/** What is written down, by the path of the call. */
const hears: Readonly<Record<string, (member: HeardMember, request: Uint8Array) => Note>> = {
  [GroupService.Heartbeat.path]: (member, request) => member.beats(request),
  [GroupService.CommitOffsets.path]: (member, request) => member.commits(request),
  [GroupService.FetchOffsets.path]: (member, request) => member.asks(request),
  [LogService.ListOffsets.path]: (member, request) => member.asksForEnds(request),
};

class OverheardSession implements ClientStream {
  handlers: ClientStreamHandlers = { message: () => {}, drain: () => {}, closed: () => {} };
  readonly #stream: ClientStream;
  readonly #member: HeardMember;
  readonly #book = new SessionBook();
  #closed = false;

  constructor(stream: ClientStream, member: HeardMember) {
    this.#stream = stream;
    this.#member = member;
    stream.handlers = {
      message: (bytes) => {
        const { state } = SessionResponse.decode(bytes);
        const answered = state && this.#book.answered(state, member.epoch);
        if (state !== undefined && answered !== undefined) member.heard(answered.beat, state, answered.whole);
        this.handlers.message(bytes);
      },
      drain: () => this.handlers.drain(),
      closed: (error) => {
        this.#end(error);
        this.handlers.closed(error);
      },
    };
  }

  write(message: Uint8Array): boolean {
    const { heartbeat } = SessionRequest.decode(message);
    if (heartbeat !== undefined) this.#book.send(this.#member.sends(heartbeat));
    return this.#stream.write(message);
  }

  end(): void {
    this.#stream.end();
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  /** Whoever leaves it hears no more of it. */
  cancel(): void {
    this.#end(undefined);
    this.#stream.cancel();
  }

  #end(error: MillraceError | RpcFailure | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    const failed = error === undefined ? undefined : failureOf(error);
    for (const [k, beat] of this.#book.unanswered.entries())
      this.#member.notAnswered(beat, k === 0 && failed !== undefined ? failed : { type: "info", error: "", facts: {} });
  }
}
