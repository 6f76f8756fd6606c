// Package checkpoint creates, reads, proves, exports and verifies the checkpoints of a live event log; internal/audit defines them.
//
// Stream audit has two records for each checkpoint n, in this order: slot checkpoint/<n> with the tree, and slot signed/<n> with the signed note. Only what
// the first one has is signed, so that concurrent processes never sign two trees of one number. Leaves, tiles and covered heads are in a Store. Leaves
// are written before the checkpoint is recorded; tiles and heads follow from them.
//
// It may import event, internal/{audit,eventlog,fault} and golang.org/x/{mod/sumdb/tlog,sync}. Everything is safe for concurrent use, also by several
// processes, and continues after a kill at any point.
package checkpoint
