package stack

import (
	"slices"
	"strings"
	"testing"

	"github.com/ordersaga/ordersaga/devstack/internal/ports"
)

func lookup(pairs ...string) func(string) (string, bool) {
	return func(variable string) (string, bool) {
		for _, pair := range pairs {
			if name, value, _ := strings.Cut(pair, "="); name == variable {
				return value, true
			}
		}
		return "", false
	}
}

func TestSelect(t *testing.T) {
	for _, test := range []struct {
		name, only, external string
		environment          []string
		started              string
		err                  string
	}{
		{name: "all", started: "temporal ui mongodb rabbitmq"},
		{name: "some", only: "mongodb, temporal,", started: "temporal mongodb"},
		{name: "external", external: "mongodb,rabbitmq", environment: []string{"MONGODB_URI=m", "AMQP_URL=a"}, started: "temporal ui"},
		{name: "external wins", only: "mongodb,ui", external: "mongodb", environment: []string{"MONGODB_URI=m"}, started: "ui"},
		{name: "external and secured", external: "temporal", environment: []string{"TEMPORAL_ADDRESS=t", "TEMPORAL_API_KEY=k"}, started: "mongodb rabbitmq"},
		{name: "no address", external: "temporal", err: "TEMPORAL_ADDRESS"},
		{name: "empty address", external: "rabbitmq", environment: []string{"AMQP_URL="}, err: "AMQP_URL"},
		{name: "unknown", external: "mongo", err: `DEVSTACK_EXTERNAL: there is no component "mongo"; there are: temporal, ui, mongodb, rabbitmq`},
		{name: "unknown only", only: "broker", err: `DEVSTACK_ONLY: there is no component "broker"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, err := Select(test.only, test.external, lookup(test.environment...))
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Fatalf("err = %v, want %q", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range Names {
				if want := slices.Contains(strings.Fields(test.started), name); s.Started(name) != want {
					t.Errorf("%s started: %t, want %t", name, s.Started(name), want)
				}
			}
		})
	}
}

func TestCheck(t *testing.T) {
	s, err := Select("temporal", "mongodb", lookup("MONGODB_URI=m"))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"temporal": "", "mongodb": "is external", "rabbitmq": "is not part of this stack", "mysql": "there is no component",
	} {
		err := s.Check(name)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("Check(%s) = %v, want %q", name, err, want)
		}
	}
}

func values(environment []string) map[string]string {
	m := make(map[string]string)
	for _, pair := range environment {
		name, value, _ := strings.Cut(pair, "=")
		m[name] = value
	}
	return m
}

var (
	endpoints = Endpoints{API: 1, Temporal: 2, UI: 3, MongoDB: 4, AMQP: 5, Management: 6}
	context   = Context{Control: "/c", Executable: "/e", EmptyFile: "/empty", RabbitMQControl: "/ctl"}
)

func TestEnvironmentReplacesExistingValues(t *testing.T) {
	s, _ := Select("", "", lookup())
	got := values(Environment([]string{
		"PATH=/bin", "TEMPORAL_API_KEY=secret", "TEMPORAL_PROFILE=cloud", "TEMPORAL_TLS_SERVER_NAME=x",
		"MONGODB_URI=mongodb://production/", "MONGODB_DATABASE=live", "AMQP_URL=amqp://production/", "HTTP_ADDR=:80",
	}, s, endpoints, context))
	for variable, want := range map[string]string{
		"PATH": "/bin", "TEMPORAL_ADDRESS": "127.0.0.1:2", "TEMPORAL_NAMESPACE": "default", "TEMPORAL_CONFIG_FILE": "/empty",
		"TEMPORAL_UI_URL": "http://127.0.0.1:3", "MONGODB_URI": "mongodb://127.0.0.1:4/", "MONGODB_DATABASE": "ordersaga",
		"AMQP_URL": "amqp://guest:guest@127.0.0.1:5/", "RABBITMQ_MANAGEMENT_URL": "http://guest:guest@127.0.0.1:6",
		"HTTP_ADDR": "127.0.0.1:1", "DEVSTACK": "1", "DEVSTACK_BIN": "/e", "DEVSTACK_CONTROL": "/c",
		"DEVSTACK_RABBITMQCTL": "/ctl",
	} {
		if got[variable] != want {
			t.Errorf("%s = %q, want %q", variable, got[variable], want)
		}
	}
	for _, variable := range []string{"TEMPORAL_API_KEY", "TEMPORAL_PROFILE", "TEMPORAL_TLS_SERVER_NAME"} {
		if value, there := got[variable]; there {
			t.Errorf("%s = %q would reach the command", variable, value)
		}
	}
}

func TestEnvironmentKeepsExternalAndRemovesAbsentServers(t *testing.T) {
	s, err := Select("rabbitmq", "temporal", lookup("TEMPORAL_ADDRESS=t:1"))
	if err != nil {
		t.Fatal(err)
	}
	keep := context
	keep.KeepAPIAddress = true
	got := values(Environment([]string{
		"TEMPORAL_ADDRESS=t:1", "TEMPORAL_NAMESPACE=mine", "TEMPORAL_API_KEY=key", "MONGODB_URI=mongodb://production/", "HTTP_ADDR=:9000",
	}, s, endpoints, keep))
	for variable, want := range map[string]string{
		"TEMPORAL_ADDRESS": "t:1", "TEMPORAL_NAMESPACE": "mine", "TEMPORAL_API_KEY": "key", "HTTP_ADDR": ":9000",
	} {
		if got[variable] != want {
			t.Errorf("%s = %q, want %q", variable, got[variable], want)
		}
	}
	if uri, there := got["MONGODB_URI"]; there {
		t.Errorf("MONGODB_URI = %q although mongodb is neither started nor external", uri)
	}
}

func TestChooseEndpoints(t *testing.T) {
	s, _ := Select("mongodb", "", lookup())
	first, err := ports.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer first.Release()
	var said []string
	say := func(format string, _ ...any) { said = append(said, format) }
	e, err := ChooseEndpoints(first, s, false, say)
	if err != nil || e.API == 0 || e.MongoDB == 0 || e.Temporal != 0 || e.AMQP != 0 || len(said) != 0 {
		t.Errorf("endpoints %+v, said %q, %v", e, said, err)
	}
	// If another process has the default port, the second choice must be another port.
	one, err := ChooseEndpoints(first, s, true, say)
	if err != nil {
		t.Fatal(err)
	}
	said = nil
	two, err := ChooseEndpoints(first, s, true, say)
	if err != nil || two.MongoDB <= one.MongoDB || len(said) != 2 {
		t.Errorf("endpoints %+v after %+v, said %q, %v", two, one, said, err)
	}
}

func TestTemporalCLI(t *testing.T) {
	line := strings.Join(temporalCLI("/bin/temporal", 7233, "/s/temporal.db"), " ")
	for _, want := range []string{"server start-dev", "--headless", "--ip 127.0.0.1 --port 7233", "--db-filename /s/temporal.db", "--namespace default"} {
		if !strings.Contains(line, want) {
			t.Errorf("no %q in %q", want, line)
		}
	}
}
