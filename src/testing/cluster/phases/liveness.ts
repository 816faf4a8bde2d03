/** From when all is healed until everything pending has ended and the whole log has been read (V1). */
export const LIVENESS_MS = 60_000;
