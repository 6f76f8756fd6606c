package config_test

import (
	"go/version"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/ordersaga/ordersaga/internal/config"
	"github.com/ordersaga/ordersaga/payment"
)

const root = "../.."

// compose is the part of a compose file that the tests look at. Short forms that the file does not use are not
// understood: they fail to decode.
type compose struct {
	Services map[string]composeService `yaml:"services"`
	Volumes  map[string]any            `yaml:"volumes"`
}

type composeService struct {
	Image       string            `yaml:"image"`
	Restart     string            `yaml:"restart"`
	Environment map[string]string `yaml:"environment"`
	Ports       []string          `yaml:"ports"`
	Volumes     []string          `yaml:"volumes"`
	Healthcheck struct {
		Test []string `yaml:"test"`
	} `yaml:"healthcheck"`
	DependsOn map[string]struct {
		Condition string `yaml:"condition"`
	} `yaml:"depends_on"`
	StopGracePeriod string `yaml:"stop_grace_period"`
}

// runsOnce tells the services that end from those that stay.
func (s composeService) runsOnce() bool { return s.Restart == "on-failure" }

// variable is a reference such as ${NAME:-default}.
var variable = regexp.MustCompile(`\$\{([A-Z_]+):-([^}]*)\}`)

// loadCompose reads the compose file as it is when none of its variables is set.
func loadCompose(t *testing.T) compose {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, "docker-compose.yml"))
	require.NoError(t, err)
	content = variable.ReplaceAll(content, []byte("$2"))
	var c compose
	require.NoError(t, yaml.Unmarshal(content, &c))
	for name, s := range c.Services {
		for key, value := range s.Environment {
			assert.NotContains(t, value, "$", "%s: %s has no default", name, key)
		}
	}
	return c
}

// environOf returns the environment of a service as a process sees it.
func environOf(s composeService) []string {
	var environ []string
	for name, value := range s.Environment {
		environ = append(environ, name+"="+value)
	}
	return environ
}

func TestComposeFileSetsKnownVariables(t *testing.T) {
	service, ok := loadCompose(t).Services["ordersaga"]
	require.True(t, ok)
	for name := range service.Environment {
		assert.True(t, known(name), "%s is no variable of ordersaga", name)
	}
	c, err := config.Load(environOf(service))
	require.NoError(t, err)
	require.NoError(t, c.CheckAPI())
	require.NoError(t, c.CheckGateway(payment.Traits{Name: config.GatewaySimulator, AuthorizationLifetime: 7 * 24 * time.Hour}))
	for _, required := range []string{
		"HTTP_ADDR", "API_AUTH", "HTTP_HOSTS", "PAYMENT_GATEWAY", "MONGODB_URI", "AMQP_URL", "TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE", "TEMPORAL_UI_URL",
	} {
		assert.Contains(t, service.Environment, required)
	}
	grace, err := time.ParseDuration(service.StopGracePeriod)
	require.NoError(t, err)
	assert.Greater(t, grace, c.ShutdownGrace, "a stop would become a kill")
}

// The addresses and credentials of the service must be those of the services that it talks to.
func TestComposeFileIsConsistent(t *testing.T) {
	services := loadCompose(t).Services
	env := services["ordersaga"].Environment
	mongo := services["mongo"].Environment
	assert.Equal(t, "mongodb://ordersaga:"+mongo["ORDERSAGA_PASSWORD"]+"@mongo:27017/?authSource=admin&replicaSet=rs0", env["MONGODB_URI"])
	assert.Equal(t, mongo["ORDERSAGA_DATABASE"], env["MONGODB_DATABASE"])
	assert.NotEmpty(t, mongo["MONGO_INITDB_ROOT_USERNAME"])
	assert.NotEmpty(t, mongo["MONGO_INITDB_ROOT_PASSWORD"])

	rabbit := services["rabbitmq"].Environment
	assert.Equal(t, "amqp://"+rabbit["RABBITMQ_DEFAULT_USER"]+":"+rabbit["RABBITMQ_DEFAULT_PASS"]+"@rabbitmq:5672/", env["AMQP_URL"])

	for _, client := range []string{"temporal-namespace", "temporal-ui"} {
		assert.Equal(t, env["TEMPORAL_ADDRESS"], services[client].Environment["TEMPORAL_ADDRESS"], client)
	}
	assert.Equal(t, env["TEMPORAL_NAMESPACE"], services["temporal-namespace"].Environment["TEMPORAL_NAMESPACE"])

	schema, server, postgresql := services["temporal-schema"], services["temporal"], services["postgresql"].Environment
	assert.Equal(t, schema.Environment["SQL_HOST"], server.Environment["POSTGRES_SEEDS"])
	assert.Equal(t, schema.Environment["SQL_PLUGIN"], server.Environment["DB"])
	for _, password := range []string{schema.Environment["SQL_PASSWORD"], server.Environment["POSTGRES_PWD"]} {
		assert.Equal(t, postgresql["POSTGRES_PASSWORD"], password)
	}
	for _, user := range []string{schema.Environment["SQL_USER"], server.Environment["POSTGRES_USER"]} {
		assert.Equal(t, postgresql["POSTGRES_USER"], user)
	}
	_, serverVersion, _ := strings.Cut(server.Image, ":")
	for _, tools := range []string{"temporal-schema", "temporal-namespace"} {
		_, toolsVersion, _ := strings.Cut(services[tools].Image, ":")
		assert.Equal(t, serverVersion, toolsVersion, "%s must bring the schema of the server", tools)
	}
}

func TestComposeFilePublishesOnLoopbackOnly(t *testing.T) {
	var published []string
	for name, s := range loadCompose(t).Services {
		for _, mapping := range s.Ports {
			parts := strings.Split(mapping, ":")
			require.Len(t, parts, 3, "%s: %s", name, mapping)
			assert.True(t, net.ParseIP(parts[0]).IsLoopback(), "%s: %s", name, mapping)
			published = append(published, parts[1])
		}
	}
	slices.Sort(published)
	assert.Equal(t, []string{"15672", "16686", "27017", "3000", "5672", "7233", "8080", "8233", "9090"}, published)
}

func TestComposeFileStartOrder(t *testing.T) {
	c := loadCompose(t)
	pinned := regexp.MustCompile(`:v?\d+\.\d+(\.\d+)?(-[a-z]+)?$`)
	for name, s := range c.Services {
		if name != "ordersaga" {
			assert.Regexp(t, pinned, s.Image, name)
			assert.NotContains(t, s.Image, "auto-setup")
		}
		if !s.runsOnce() {
			assert.Equal(t, "unless-stopped", s.Restart, name)
			assert.NotEmpty(t, s.Healthcheck.Test, name)
		}
		for on, how := range s.DependsOn {
			other, ok := c.Services[on]
			require.True(t, ok, "%s depends on %s, which is not there", name, on)
			want := "service_healthy"
			if other.runsOnce() {
				want = "service_completed_successfully"
			}
			assert.Equal(t, want, how.Condition, "%s depends on %s", name, on)
		}
	}
	assert.ElementsMatch(t, []string{"rabbitmq", "mongo", "temporal", "temporal-namespace"}, keys(c.Services["ordersaga"].DependsOn))
}

func TestComposeFileMountsExist(t *testing.T) {
	c := loadCompose(t)
	used := make(map[string]bool)
	for name, s := range c.Services {
		for _, volume := range s.Volumes {
			source, _, _ := strings.Cut(volume, ":")
			if !strings.HasPrefix(source, ".") {
				assert.Contains(t, c.Volumes, source, name)
				used[source] = true
				continue
			}
			assert.True(t, strings.HasSuffix(volume, ":ro"), "%s: %s", name, volume)
			assert.FileExists(t, filepath.Join(root, source), name)
		}
	}
	assert.ElementsMatch(t, keys(c.Volumes), keys(used))
}

// The image's Go must not be older than the one that go.mod asks for.
func TestDockerfileBuildsModule(t *testing.T) {
	dockerfile, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	require.NoError(t, err)
	module, err := os.ReadFile(filepath.Join(root, "go.mod"))
	require.NoError(t, err)
	image := regexp.MustCompile(`(?m)^FROM .*golang:(\d+\.\d+\.\d+)-`).FindSubmatch(dockerfile)
	wanted := regexp.MustCompile(`(?m)^go (\S+)$`).FindSubmatch(module)
	require.NotNil(t, image)
	require.NotNil(t, wanted)
	assert.GreaterOrEqual(t, version.Compare("go"+string(image[1]), "go"+string(wanted[1])), 0)
	for _, line := range []string{"CGO_ENABLED=0", "-trimpath", "./cmd/ordersaga", "USER 65532:65532", `["/ordersaga", "health"]`} {
		assert.Contains(t, string(dockerfile), line)
	}
}

func keys[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	return names
}
