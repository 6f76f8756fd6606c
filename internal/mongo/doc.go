// Package mongo keeps everything that is kept in MongoDB: the event log, the lists of orders, dead letters, the names of SKUs,
// the customers' keys and the hashes of API keys. It speaks MongoDB's wire protocol with MongoDB (replica set or sharded), FerretDB 2 and FerretDB 1, and is
// the one package that knows which of them it talks to; what is particular to FerretDB 1 is in ferretdb1.go.
//
// It may import the MongoDB driver, jsontext, golang-lru, event, internal/{eventlog,readmodel,deadletter,sealed,auth,order,wire,cursor,null,groupcommit,fault}.
// Consumers declare what they need of it.
//
// Everything here may be used by any number of goroutines and processes at once. Errors: fault.Unavailable for everything that the
// server or the network does, ended contexts included (then the error also matches the context's error); the others as in the
// contracts that are implemented.
//
// # Events
//
// The collection is insert-only. One record is one document (see document, and docs/reference/event-log.md).
//
// (stream, key) is unique: that is what makes a slot a slot. (stream, version) is unique too, and gives MongoDB walks and lists of
// streams in their order. The other servers do not get it: FerretDB 1 uses no index but that of _id, FerretDB 2 would read
// nothing in its order, and finds streams by (stream, key); what it costs there is two fifths of an insert. _id says the same as
// (stream, version), so that optimistic concurrency relies on _id alone, on every server. Heads and timelines are ranges of _id,
// too: the versions of a stream are neighbours in that index, in their order, so that what a head costs does not depend on how
// long the stream is.
//
// On a sharded cluster the shard key is {stream: 1}; shard the collection when its indexes exist, which support it.
// Unique indexes must begin with the shard key, and these do. _id is unique for each shard only, and that is
// enough: all documents of a stream have the same shard key, so they are in one chunk, which is on one shard.
//
// # Appends
//
// An append is one InsertMany at write concern majority, journaled, and nothing else when nobody was faster.
// Appends that come while others are under way share a round trip, each whole, in all at most a hundred documents:
// ordered, unless each document has a stream of its own. A duplicate fails its own append; those behind it in an
// ordered batch were not tried and go again; whatever else goes wrong is unknown to all of them. Ordered inserts stop at the first
// duplicate, and every document of a batch names its predecessor's version, so that whatever part of a batch was written is a
// prefix, and a batch that is executed late collides with what exists. After a duplicate, and after an error that leaves the
// outcome unknown, the tail of the stream is read (primary, read concern majority) and eventlog.Settle says how to go on. Nothing
// is concluded from the absence of a record but to try again, and nothing is read out of the texts of errors.
//
// Questions for the first record of a stream share round trips as well. They ask for the second one too: a stream without its
// first record is Unavailable there, one that has lost both looks as if it had never been. Reconcile sees more.
//
// A majority read may miss what was acknowledged, for some seconds after a failover. So a gap, or a head that is not found, is
// read again in a way that misses nothing, and is Unavailable, with fault.ErrMissing in its chain, when it is not found
// then either: a retry is harmless, an abandoned step is not. Corrupt is what is there and is something else.
//
// A head that this process has not seen itself costs one look-up by _id, so that a wrong one is Corrupt, or Unavailable when
// there is no such version, and not a fork. Heads that it has seen are remembered in a small cache of facts: records never change,
// so a remembered head can be old but not wrong. A database that is dropped or restored to an earlier time under a running
// process breaks that; restart the process.
package mongo
