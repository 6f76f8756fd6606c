package rig

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// counted are the commands that read and write documents. Those of drivers and of replication are left out.
var counted = []string{"find", "getMore", "aggregate", "insert", "update", "findAndModify", "delete"}

// Commands are how many commands MongoDB has executed, by name.
type Commands map[string]int64

// CommandsSoFar reads the number from the server. The result is nil if the server does not report it, or not to this user.
func CommandsSoFar(ctx context.Context, client *mongo.Client) Commands {
	var status struct {
		Metrics struct {
			Commands bson.Raw `bson:"commands"`
		} `bson:"metrics"`
	}
	err := client.Database("admin").RunCommand(ctx, bson.D{{Key: "serverStatus", Value: 1}}).Decode(&status)
	if err != nil || len(status.Metrics.Commands) == 0 {
		return nil
	}
	so := Commands{}
	for _, name := range counted {
		so[name], _ = status.Metrics.Commands.Lookup(name, "total").AsInt64OK() // 0 when there was none yet
	}
	return so
}

// PerOrder is how many commands n orders have needed since earlier, an order.
func (c Commands) PerOrder(earlier Commands, n int) map[string]float64 {
	if c == nil || earlier == nil {
		return nil
	}
	each := map[string]float64{}
	for name, count := range c {
		each[name] = float64(count-earlier[name]) / float64(n)
	}
	return each
}
