// The health check: initiates the one-node replica set when nobody has, and fails unless the node is primary.
// While the image initialises its data there is no replica set to initiate: that fails too, and is tried again.
db.getSiblingDB("admin").auth(process.env.MONGO_INITDB_ROOT_USERNAME, process.env.MONGO_INITDB_ROOT_PASSWORD);

try {
  rs.status();
} catch (error) {
  if (error.codeName !== "NotYetInitialized") {
    throw error;
  }
  rs.initiate({ _id: "rs0", members: [{ _id: 0, host: "mongo:27017" }] });
}

if (!db.hello().isWritablePrimary) {
  quit(1);
}
