package mongolog

import (
	"errors"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
)

// Duplicate reports whether a write was refused because a document with the same unique key exists, at a majority. A
// duplicate that comes together with a write-concern error proves nothing: what it met may be rolled back.
func Duplicate(err error) bool {
	if !mongo.IsDuplicateKeyError(err) {
		return false
	}
	var one mongo.WriteException
	if errors.As(err, &one) && one.WriteConcernError != nil {
		return false
	}
	var many mongo.BulkWriteException
	return !errors.As(err, &many) || many.WriteConcernError == nil
}

// Latest returns the collection with reads that do not miss what was acknowledged before they began. A majority read may:
// the commit point of a new primary lags, and a deposed primary does not know for some seconds that it was deposed. Such a
// read costs a round trip to a majority, so it is for what another read did not find. FerretDB has no replicas, and ignores
// the level.
func Latest(c *mongo.Collection) *mongo.Collection {
	return c.Clone(options.Collection().SetReadConcern(readconcern.Linearizable()))
}

// codeNotAReplicaSet is the answer of a server without replicas to a linearizable read.
const codeNotAReplicaSet = 123

// NoReplicas reports whether a read of Latest was refused because the server has no replicas: then any read sees everything.
func NoReplicas(err error) bool {
	var refused mongo.CommandError
	return errors.As(err, &refused) && refused.Code == codeNotAReplicaSet
}
