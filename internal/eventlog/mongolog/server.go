package mongolog

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// SortsWhatIsIndexed reports whether the server finds documents by its indexes but sorts them afterwards, whatever order
// they stand in there: FerretDB 2 reads in the order of _id alone. What it finds has to be little. Errors: Unavailable.
func SortsWhatIsIndexed(ctx context.Context, db *mongo.Database) (bool, error) {
	var info struct {
		// FerretDB is what FerretDB 2 adds.
		FerretDB bson.Raw `bson:"ferretdb"`
	}
	if err := db.RunCommand(ctx, bson.D{{Key: "buildInfo", Value: 1}}).Decode(&info); err != nil {
		return false, unavailable(ctx, err, "ask the server what it is")
	}
	return info.FerretDB != nil, nil
}
