// The least role of the service: mongosh runs it as an administrator of users, with ORDERSAGA_DATABASE set. Grant the role instead of readWrite.
// A test compares it with the commands of the service. Records of the event log, SKUs and API keys are inserted and never changed.
const collections = {
  "events": ["createIndex", "find", "insert"],
  "api_keys": ["find", "insert"],
  "skus": ["find", "insert"],
  "customer_keys": ["find", "insert", "remove", "update"],
  "dead_letter_keys": ["find", "insert", "remove", "update"],
  "dead_letters": ["createIndex", "find", "insert", "remove", "update"],
  "orders": ["createIndex", "find", "insert", "remove", "update"],
  "sagas": ["createIndex", "find", "insert", "remove", "update"],
  "late": ["find", "remove"],
  "audit_leaves": ["find", "insert", "remove"],
  "audit_tiles": ["find", "insert", "update"],
  "audit_heads": ["find", "insert", "update"],
  "audit_state": ["find", "insert", "update"]
};
db.getSiblingDB("admin").createRole({
  role: "ordersaga",
  privileges: Object.entries(collections).map(([collection, actions]) => ({
    resource: { db: process.env.ORDERSAGA_DATABASE, collection },
    actions,
  })),
  roles: [],
});
