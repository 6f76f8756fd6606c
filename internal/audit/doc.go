// Package audit is the format of checkpoints, exports and proofs of the event log, and their verification. docs/reference/audit-format.md
// specifies it.
//
// A checkpoint is a signed Merkle tree (RFC 6962). Its leaves are heads of streams: a stream that has changed since the previous checkpoint adds a
// leaf. Streams are hash chains, so a leaf covers every record of its stream up to its version. The checkpoint covers what a chain alone does not:
// that a stream ends, exists, or was not written again as a whole.
//
// It may import event, internal/{eventlog,fault}, golang.org/x/{mod/sumdb,sync} and go-json-experiment. Only Writer, VerifyExport, ReadHistory and Resume do
// I/O, on files. Values are safe for concurrent use unless documented otherwise.
package audit
