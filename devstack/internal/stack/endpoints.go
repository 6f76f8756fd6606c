package stack

import (
	"fmt"
	"strconv"

	"github.com/ordersaga/ordersaga/devstack/internal/ports"
)

// Endpoints are the ports for users and programs, all on loopback.
type Endpoints struct {
	API, Temporal, UI, MongoDB, AMQP, Management int
}

// defaultEndpoints are the usual ports of these servers.
var defaultEndpoints = Endpoints{
	API: 8080, Temporal: 7233, UI: 8233, MongoDB: 27017, AMQP: 5672, Management: 15672,
}

// ChooseEndpoints reserves a port for each component that is started, and one
// for the API: the default one or the next that is free, with say telling which
// were taken, or just free ones.
func ChooseEndpoints(reserve *ports.Reservation, s Selection, defaults bool, say func(string, ...any)) (Endpoints, error) {
	var e Endpoints
	for _, choice := range []struct {
		name      string
		port      *int
		preferred int
		needed    bool
	}{
		{"the API", &e.API, defaultEndpoints.API, true},
		{"temporal", &e.Temporal, defaultEndpoints.Temporal, s.Started(Temporal)},
		{"ui", &e.UI, defaultEndpoints.UI, s.Started(UI)},
		{"mongodb", &e.MongoDB, defaultEndpoints.MongoDB, s.Started(MongoDB)},
		{"rabbitmq", &e.AMQP, defaultEndpoints.AMQP, s.Started(RabbitMQ)},
		{"rabbitmq's management", &e.Management, defaultEndpoints.Management, s.Started(RabbitMQ)},
	} {
		if !choice.needed {
			continue
		}
		var err error
		if defaults {
			*choice.port, err = reserve.From(choice.preferred)
		} else {
			*choice.port, err = reserve.Any()
		}
		if err != nil {
			return Endpoints{}, fmt.Errorf("choose a port for %s: %w", choice.name, err)
		}
		if defaults && *choice.port != choice.preferred {
			say("port %d is taken, %s gets %d", choice.preferred, choice.name, *choice.port)
		}
	}
	return e, nil
}

const (
	loopback  = "127.0.0.1"
	namespace = "default"
	database  = "ordersaga"
)

func address(port int) string { return loopback + ":" + strconv.Itoa(port) }

// UIURL is the address of the Web UI.
func (e Endpoints) UIURL() string { return "http://" + address(e.UI) }

// AMQPURL has the credentials that RabbitMQ accepts on loopback only.
func (e Endpoints) AMQPURL() string { return "amqp://guest:guest@" + address(e.AMQP) + "/" }

// ManagementURL has the same credentials.
func (e Endpoints) ManagementURL() string { return "http://guest:guest@" + address(e.Management) }
