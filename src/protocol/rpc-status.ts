import { bytes, int32, type MessageOf, message, repeated, string, submessage } from "./codec/index.ts";

/** `google.protobuf.Any`. */
export const Any = message("google.protobuf.Any", { typeUrl: string(1), value: bytes(2) });

/** `google.rpc.Status`: how errors travel, in trailers and inside stream messages. */
export const Status = message("google.rpc.Status", { code: int32(1), message: string(2), details: repeated(submessage(3, Any)) });
export type Status = MessageOf<typeof Status>;
