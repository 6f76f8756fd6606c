// Runs once, on an empty data folder, before the replica set exists: the service's user.
db.getSiblingDB("admin").createUser({
  user: "ordersaga",
  pwd: process.env.ORDERSAGA_PASSWORD,
  roles: [{ role: "readWrite", db: process.env.ORDERSAGA_DATABASE }],
});
