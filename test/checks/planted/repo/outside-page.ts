// plant: src/raft/planted.ts
// expect: repo/outside-page:4, repo/outside-page:5
// Design §4 and scenario 12 may be cited,
// but not field-notes 1.6,
/** nor performance-facts. */
