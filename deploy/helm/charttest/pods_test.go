package charttest

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/cert"
)

func bufioReader(text string) *bufio.Reader { return bufio.NewReader(strings.NewReader(text)) }

// typeName is the name of an object's Go type, such as *v1.Service.
func typeName(o metav1.Object) string { return fmt.Sprintf("%T", o) }

// everyPod calls f with each pod of each rendering.
func everyPod(t *testing.T, f func(t *testing.T, name string, pod corev1.PodSpec, container corev1.Container)) {
	t.Helper()
	everyValues(t, func(t *testing.T, name string) {
		for name, p := range pods(objects(t, readValues(t, name))) {
			require.Len(t, p.Spec.Containers, 1)
			require.Empty(t, p.Spec.InitContainers)
			f(t, name, p.Spec, p.Spec.Containers[0])
		}
	})
}

// TestPodSecurity: every pod satisfies the pod security standard restricted, and gets no token.
func TestPodSecurity(t *testing.T) {
	everyPod(t, func(t *testing.T, name string, pod corev1.PodSpec, container corev1.Container) {
		require.False(t, *pod.AutomountServiceAccountToken, name)
		require.False(t, pod.HostNetwork || pod.HostPID || pod.HostIPC, name)
		require.True(t, *pod.SecurityContext.RunAsNonRoot, name)
		require.Equal(t, corev1.SeccompProfileTypeRuntimeDefault, pod.SecurityContext.SeccompProfile.Type, name)
		require.False(t, *container.SecurityContext.AllowPrivilegeEscalation, name)
		require.True(t, *container.SecurityContext.ReadOnlyRootFilesystem, name)
		require.Equal(t, &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}, container.SecurityContext.Capabilities, name)
		require.Nil(t, container.SecurityContext.Privileged, name)
		require.Nil(t, container.SecurityContext.RunAsUser, "the user of the pod")
		for _, volume := range pod.Volumes {
			require.True(t, volume.Secret != nil || volume.ConfigMap != nil, "%s: %s", name, volume.Name)
		}
		for _, mount := range container.VolumeMounts {
			require.True(t, mount.ReadOnly, "%s: %s", name, mount.Name)
		}
		for _, port := range container.Ports {
			require.Zero(t, port.HostPort, name)
		}
		require.NotEmpty(t, container.Resources.Requests, name)
		require.Contains(t, container.Resources.Limits, corev1.ResourceMemory, name)
	})
}

// directive returns the arguments of an instruction of the Dockerfile's last stage.
func directive(t *testing.T, instruction string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	require.NoError(t, err)
	found := regexp.MustCompile(`(?m)^`+instruction+` (.*)$`).FindAllStringSubmatch(string(text), -1)
	require.NotEmpty(t, found, instruction)
	return found[len(found)-1][1]
}

// TestPodsFitTheImage: port, user and address are those of the Dockerfile.
func TestPodsFitTheImage(t *testing.T) {
	exposed, err := strconv.ParseInt(directive(t, "EXPOSE"), 10, 32)
	require.NoError(t, err)
	require.Equal(t, `["/ordersaga"]`, directive(t, "ENTRYPOINT"))
	everyPod(t, func(t *testing.T, name string, pod corev1.PodSpec, container corev1.Container) {
		require.Equal(t, directive(t, "USER"), fmt.Sprintf("%d:%d", *pod.SecurityContext.RunAsUser, *pod.SecurityContext.RunAsGroup))
		require.Empty(t, container.Command, "the image has an entry point")
		env := environment(container)
		require.Equal(t, directive(t, "ENV"), "HTTP_ADDR="+env["HTTP_ADDR"])
		if strings.HasSuffix(name, "-migrate") {
			require.Empty(t, container.Ports)
			return
		}
		ports := make(map[string]int32)
		for _, p := range container.Ports {
			ports[p.Name] = p.ContainerPort
		}
		require.Equal(t, map[string]int32{"http": int32(exposed), "metrics": 9090}, ports)
		require.Equal(t, "0.0.0.0:9090", env["METRICS_ADDR"])
		scheme := corev1.URISchemeHTTP
		if env["HTTP_TLS_CERT_FILE"] != "" {
			scheme = corev1.URISchemeHTTPS
		}
		for path, probe := range map[string]*corev1.Probe{"/livez": container.LivenessProbe, "/readyz": container.ReadinessProbe} {
			require.Equal(t, path, probe.HTTPGet.Path)
			require.Equal(t, "http", probe.HTTPGet.Port.String())
			require.Equal(t, scheme, probe.HTTPGet.Scheme)
			require.Greater(t, probe.TimeoutSeconds, int32(3), "the process itself waits 3 s for its servers")
		}
	})
}

func environment(c corev1.Container) map[string]string {
	env := make(map[string]string)
	for _, e := range c.Env {
		env[e.Name] = e.Value
	}
	return env
}

// TestStopIsNotAKill: the grace period is longer than what a process takes to stop.
func TestStopIsNotAKill(t *testing.T) {
	everyPod(t, func(t *testing.T, name string, pod corev1.PodSpec, container corev1.Container) {
		if strings.HasSuffix(name, "-migrate") {
			return
		}
		env := environment(container)
		grace, err := time.ParseDuration(env["SHUTDOWN_GRACE"])
		require.NoError(t, err)
		if delay := env["SHUTDOWN_DELAY"]; delay != "" {
			more, err := time.ParseDuration(delay)
			require.NoError(t, err)
			grace += more
		}
		require.Greater(t, time.Duration(*pod.TerminationGracePeriodSeconds)*time.Second, grace, name)
	})
	for name, d := range of[*appsv1.Deployment](objects(t, readValues(t, "minimal"))) {
		require.Zero(t, d.Spec.Strategy.RollingUpdate.MaxUnavailable.IntValue(), name)
		require.Equal(t, int32(2), *d.Spec.Replicas, name)
	}
}

// secretValues are examples of what pods read from files.
func secretValues(t *testing.T) map[string]string {
	t.Helper()
	certificate, key, err := cert.GenerateSelfSignedCertKey("orders.example.com", nil, nil)
	require.NoError(t, err)
	return map[string]string{
		"MONGODB_URI": "mongodb://user:password@mongodb.example.com/?replicaSet=rs0&tls=true", "AMQP_URL": "amqps://user:password@rabbitmq.example.com/",
		"PAYLOAD_KEYS":                  "a " + base64.StdEncoding.EncodeToString(make([]byte, 32)),
		"SMTP_URL":                      "smtps://user:password@mail.example.com",
		"TEMPORAL_TLS_CLIENT_CERT_DATA": string(certificate), "TEMPORAL_TLS_CLIENT_KEY_DATA": string(key),
		"tls.crt": string(certificate), "tls.key": string(key),
	}
}

// TestProcessesAcceptTheirSettings: every variable exists, no secret is in the environment, and the binary accepts the settings of every pod.
func TestProcessesAcceptTheirSettings(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "ordersaga")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./cmd/ordersaga")
	build.Dir = root
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)

	secret, contents := settings(t), secretValues(t)
	everyPod(t, func(t *testing.T, name string, pod corev1.PodSpec, container corev1.Container) {
		// Volumes become folders.
		files := t.TempDir()
		for _, m := range container.VolumeMounts {
			folder := filepath.Join(files, m.MountPath)
			require.NoError(t, os.MkdirAll(folder, 0o700))
			for key, value := range contents {
				require.NoError(t, os.WriteFile(filepath.Join(folder, key), []byte(value), 0o600))
			}
		}
		items := make(map[string]bool)
		for _, v := range pod.Volumes {
			if v.Name == "secrets" {
				for _, i := range v.Secret.Items {
					items["/etc/ordersaga/secrets/"+i.Path] = true
				}
			}
		}
		var env []string
		for key, value := range environment(container) {
			if setting, ok := strings.CutSuffix(key, "_FILE"); ok && secret[setting] {
				require.True(t, items[value], "%s: %s is no file of the Secret", name, value)
			} else {
				is, known := secret[key]
				require.True(t, known, "%s: %s is no setting", name, key)
				require.False(t, is, "%s: %s is a secret", name, key)
			}
			if strings.HasPrefix(value, "/etc/") {
				value = filepath.Join(files, value)
			}
			env = append(env, key+"="+value)
		}
		for _, args := range [][]string{{"config"}, {container.Args[0], "--help"}} {
			command := exec.CommandContext(t.Context(), binary, args...)
			command.Env = env
			out, err := command.CombinedOutput()
			require.NoError(t, err, "%s: %s\n%s", name, args, out)
			require.NotContains(t, string(out), "user:password")
		}
		if role := container.Args[0]; role == "api" || role == "serve" || role == "codec-server" {
			require.NotEmpty(t, environment(container)["API_AUTH"], name)
			require.Contains(t, environment(container)["HTTP_HOSTS"], ".orders.svc.cluster.local")
		}
	})
}
