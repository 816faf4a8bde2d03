/** The public messages, package `millrace.v1`, one file per .proto. */
export * from "./public/admin-service.ts";
export * from "./public/group-service.ts";
export * from "./public/log-service.ts";
export * from "./public/records.ts";
