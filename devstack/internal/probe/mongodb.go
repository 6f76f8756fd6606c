package probe

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// selectionLimit keeps the driver from waiting longer than the next probe.
const selectionLimit = time.Second

// MongoDB succeeds when the server answers a ping.
func MongoDB(address string) func(context.Context) error {
	return func(ctx context.Context) error {
		return withMongoDB(ctx, address, func(admin *mongo.Database) error {
			return admin.RunCommand(ctx, bson.D{{Key: "ping", Value: 1}}).Err()
		})
	}
}

// ReplicaSet succeeds when the server is the primary of a replica set of its
// own. It makes it one when it is not, and renames the member when the port has
// changed since.
func ReplicaSet(address, name string) func(context.Context) error {
	return func(ctx context.Context) error {
		return withMongoDB(ctx, address, func(admin *mongo.Database) error {
			var hello struct {
				Primary bool `bson:"isWritablePrimary"`
			}
			if err := admin.RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}).Decode(&hello); err != nil {
				return err
			}
			var current struct {
				Config struct {
					Version int `bson:"version"`
					Members []struct {
						Host string `bson:"host"`
					} `bson:"members"`
				} `bson:"config"`
			}
			err := admin.RunCommand(ctx, bson.D{{Key: "replSetGetConfig", Value: 1}}).Decode(&current)
			if notInitialized(err) {
				return errors.Join(errors.New("replica set is being initiated"),
					admin.RunCommand(ctx, bson.D{{Key: "replSetInitiate", Value: replicaSet(name, address, 1)}}).Err())
			}
			if err != nil {
				return err
			}
			if members := current.Config.Members; len(members) != 1 || members[0].Host != address {
				return errors.Join(errors.New("replica set is being renamed"),
					admin.RunCommand(ctx, bson.D{
						{Key: "replSetReconfig", Value: replicaSet(name, address, current.Config.Version+1)},
						{Key: "force", Value: true},
					}).Err())
			}
			if !hello.Primary {
				return errors.New("the server is not the primary yet")
			}
			return nil
		})
	}
}

func replicaSet(name, address string, version int) bson.D {
	return bson.D{
		{Key: "_id", Value: name},
		{Key: "version", Value: version},
		{Key: "members", Value: bson.A{bson.D{{Key: "_id", Value: 0}, {Key: "host", Value: address}}}},
	}
}

// notInitialized recognises the server's code NotYetInitialized.
func notInitialized(err error) bool {
	const notYetInitialized = 94
	var refused mongo.CommandError
	return errors.As(err, &refused) && refused.Code == notYetInitialized
}

func withMongoDB(ctx context.Context, address string, ask func(admin *mongo.Database) error) error {
	client, err := mongo.Connect(options.Client().
		ApplyURI("mongodb://" + address + "/?directConnection=true").
		SetServerSelectionTimeout(selectionLimit))
	if err != nil {
		return fmt.Errorf("connect to mongodb: %w", err)
	}
	defer client.Disconnect(context.WithoutCancel(ctx))
	if err := ask(client.Database("admin")); err != nil {
		return fmt.Errorf("ask mongodb: %w", err)
	}
	return nil
}
