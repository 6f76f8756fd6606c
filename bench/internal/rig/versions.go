package rig

import (
	"context"
	"fmt"
	"os"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
)

// Variables that say what a server stores on, where it does not tell its clients: free text for the report.
const (
	temporalStore = "BENCH_TEMPORAL_STORE"
	mongoStore    = "BENCH_MONGODB_STORE"
)

// Versions names the servers: what they are, and on what they store.
func Versions(ctx context.Context, s Stack, temporal client.Client, db *mongo.Database) (map[string]string, error) {
	cluster, err := temporal.WorkflowService().GetClusterInfo(ctx, &workflowservice.GetClusterInfoRequest{})
	if err != nil {
		return nil, err
	}
	versions := map[string]string{
		"temporal": fmt.Sprintf("Temporal %s on %s, visibility on %s", cluster.GetServerVersion(), cluster.GetPersistenceStore(), cluster.GetVisibilityStore()) +
			described(temporalStore),
	}
	if versions["mongodb"], err = mongoVersion(ctx, db); err != nil {
		return nil, err
	}
	versions["mongodb"] += described(mongoStore)
	conn, err := amqp.Dial(s.AMQP)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	versions["rabbitmq"] = fmt.Sprintf("%v %v", conn.Properties["product"], conn.Properties["version"])
	return versions, nil
}

// described returns the value of a variable as a suffix of a name.
func described(variable string) string {
	if text := os.Getenv(variable); text != "" {
		return "; " + text
	}
	return ""
}

// mongoVersion names the server. FerretDB is no mongod, and is named as what it is.
func mongoVersion(ctx context.Context, db *mongo.Database) (string, error) {
	var build buildInfo
	if err := db.RunCommand(ctx, bson.D{{Key: "buildInfo", Value: 1}}).Decode(&build); err != nil {
		return "", err
	}
	var status serverStatus
	// Not every user may run this command; without it the detail is left out.
	_ = db.RunCommand(ctx, bson.D{{Key: "serverStatus", Value: 1}}).Decode(&status)
	return mongoName(build, status), nil
}

// buildInfo and serverStatus are what is of interest in the answers to these commands.
type (
	buildInfo struct {
		Version         string `bson:"version"`
		FerretDBVersion string `bson:"ferretdbVersion"`
		FerretDB        struct {
			Version string `bson:"version"`
		} `bson:"ferretdb"`
	}
	serverStatus struct {
		StorageEngine struct {
			Name string `bson:"name"`
		} `bson:"storageEngine"`
		FerretDB struct {
			PostgreSQL string `bson:"postgresql"`
			DocumentDB string `bson:"documentdb"`
		} `bson:"ferretdb"`
	}
)

func mongoName(build buildInfo, status serverStatus) string {
	switch {
	case build.FerretDBVersion != "":
		return "FerretDB 1, a substitute: mongod itself was not among the servers"
	case build.FerretDB.Version != "":
		// Both say more than their versions: "PostgreSQL 18.1 (…) on …, compiled by …", "1.0.0 gitref: …".
		postgres, _, _ := strings.Cut(status.FerretDB.PostgreSQL, " (")
		extension, _, _ := strings.Cut(status.FerretDB.DocumentDB, " ")
		on := strings.Join(strings.Fields(postgres+" with DocumentDB "+extension), " ")
		return "FerretDB " + strings.TrimPrefix(build.FerretDB.Version, "v") + " on " + strings.TrimPrefix(on, "with ") +
			", a substitute: mongod itself was not among the servers"
	case status.StorageEngine.Name != "":
		return "MongoDB " + build.Version + " on " + status.StorageEngine.Name
	}
	return "MongoDB " + build.Version
}
