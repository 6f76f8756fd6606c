// Package mongo has all stores that use MongoDB: the event log, the lists of orders and sagas, dead letters, the names of SKUs,
// the customers' keys, the hashes of API keys and the checkpoints. It speaks MongoDB's wire protocol with MongoDB (replica set or sharded cluster), FerretDB 2 and FerretDB 1, and is
// the only package that distinguishes them. Code for FerretDB 1 is in ferretdb1.go.
//
// It may import the MongoDB driver, jsontext, golang-lru, event, internal/{audit,checkpoint,eventlog,readmodel,deadletter,sealed,auth,order,wire,cursor,null,groupcommit,fault}.
// Consumers declare the interfaces that they need.
//
// Everything is safe for concurrent use, also by several processes. Errors: fault.Unavailable for all errors of server, network or
// context (if the context has ended, the error also matches the context's error); other errors as in the implemented contracts.
//
// # Events
//
// The collection is insert-only. One record is one document (see document, and docs/reference/event-log.md).
//
// (stream, key) is unique: this makes a slot write-once. On MongoDB (stream, version) is unique, too; it gives walks and lists of streams
// their order. The other servers do not have this index: FerretDB 1 uses only the index of _id; FerretDB 2 would not read in its order,
// and finds streams by (stream, key); there it would add 40 % to the cost of an insert. _id consists of stream and version, so that
// optimistic concurrency depends only on _id, on every server. Heads and timelines are ranges of _id: the versions of a stream are
// adjacent and in order in that index, so that reading a head does not depend on the length of the stream.
//
// On a sharded cluster the shard key is {stream: 1}; shard the collection after its indexes exist. Unique indexes must begin with the shard
// key, and these do. _id is unique only within a shard, which is sufficient: all documents of a stream have the same shard key and are
// therefore on one shard.
//
// # Appends
//
// An append without a race is one InsertMany with write concern majority, journaled. Concurrent appends share a round trip of at most 100
// documents; an append is never split. It is ordered, unless each document is of a different stream. A duplicate fails its own append;
// later appends of an ordered batch were not tried and are sent again; any other error leaves the results of all of them unknown. An
// ordered insert stops at the first duplicate, and every document follows the version before it: a partially written batch is always a
// prefix, and a batch that is executed late conflicts with existing records. After a duplicate, or an error that leaves the result unknown,
// the tail of the stream is read (primary, read concern majority) and eventlog.Reconcile determines what remains to be written. The absence
// of a record leads only to a retry, and texts of errors are never parsed.
//
// Reads of the first record of a stream share round trips, too. They also read the second record: a stream that has lost only its first
// record is Unavailable; one that has lost both looks like a stream that does not exist. Reconcile detects that.
//
// A majority read may miss acknowledged writes for some seconds after a failover. Therefore a gap, or a head that is not found, is read
// again with a linearizable read, and is Unavailable, with fault.ErrMissing in its chain, if it is still not found: a retry is harmless, an
// abandoned step is not. Corrupt is for records that exist and are wrong.
//
// A head that is not in the cache costs one read by _id, so that a wrong head is Corrupt, or Unavailable if there is no such version, and
// never a fork. Records never change, so a cached head can be old but not wrong, unless the database is dropped or restored to an earlier
// time while the process runs; restart the process then.
package mongo
