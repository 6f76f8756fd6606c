#!/bin/sh
# Publishes an event with nothing but curl, over RabbitMQ's management API: for scripts, for trying things out, for
# systems that do not speak AMQP. The management API does not confirm: what it says is that a queue took the event.
#
#   publish.sh TYPE SUBJECT DATA [ID]
#
# RABBITMQ_MANAGEMENT_URL names the API, with user and password, and RABBITMQ_VHOST the virtual host, percent-encoded. Sent
# again under the same ID it is the same event.
set -eu

if [ $# -lt 3 ]; then
  echo "usage: publish.sh TYPE SUBJECT DATA [ID]" >&2
  exit 2
fi
type=$1 subject=$2 data=$3
url=${RABBITMQ_MANAGEMENT_URL:-http://guest:guest@127.0.0.1:15672}
id=${4:-$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')}

# quoted makes a JSON string of a text: the event is JSON, and travels as a string within JSON.
quoted() {
  printf '"%s"' "$(printf '%s' "$1" | tr '\n\r\t' '   ' | sed 's/\\/\\\\/g; s/"/\\"/g')"
}

event=$(printf '{"specversion": "1.0", "id": %s, "source": "/scripts", "type": %s, "subject": %s, "data": %s}' \
  "$(quoted "$id")" "$(quoted "$type")" "$(quoted "$subject")" "$data")

answer=$(curl -sS --max-time 30 --fail-with-body -X POST "${url%/}/api/exchanges/${RABBITMQ_VHOST:-%2F}/domain_events/publish" \
  -H 'Content-Type: application/json' -d @- <<JSON
{"routing_key": $(quoted "$type"), "payload_encoding": "string", "payload": $(quoted "$event"), "properties": {
  "delivery_mode": 2, "content_type": "application/cloudevents+json", "message_id": $(quoted "$id"), "type": $(quoted "$type")}}
JSON
) || { echo "publish.sh: the broker did not take it: $answer" >&2; exit 1; }

case $answer in
*'"routed":true'*) echo "$id" ;;
*)
  echo "publish.sh: nothing listens to $type: $answer" >&2
  exit 1
  ;;
esac
