package charttest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/json"
	sigsyaml "sigs.k8s.io/yaml"
)

// object returns an empty object of a kind.
var object = map[string]func() metav1.Object{
	"apps/v1 Deployment":                      func() metav1.Object { return &appsv1.Deployment{} },
	"autoscaling/v2 HorizontalPodAutoscaler":  func() metav1.Object { return &autoscalingv2.HorizontalPodAutoscaler{} },
	"batch/v1 Job":                            func() metav1.Object { return &batchv1.Job{} },
	"v1 ConfigMap":                            func() metav1.Object { return &corev1.ConfigMap{} },
	"v1 Service":                              func() metav1.Object { return &corev1.Service{} },
	"networking.k8s.io/v1 Ingress":            func() metav1.Object { return &networkingv1.Ingress{} },
	"networking.k8s.io/v1 NetworkPolicy":      func() metav1.Object { return &networkingv1.NetworkPolicy{} },
	"policy/v1 PodDisruptionBudget":           func() metav1.Object { return &policyv1.PodDisruptionBudget{} },
	"monitoring.coreos.com/v1 PrometheusRule": func() metav1.Object { return &monitoringv1.PrometheusRule{} },
	"monitoring.coreos.com/v1 ServiceMonitor": func() metav1.Object { return &monitoringv1.ServiceMonitor{} },
}

// objects renders the chart and decodes every object. Unknown and repeated fields are errors.
func objects(t *testing.T, values map[string]any) []metav1.Object {
	t.Helper()
	rendered, err := render(t, values)
	require.NoError(t, err)
	var decoded []metav1.Object
	for template, text := range rendered {
		if strings.HasSuffix(template, ".txt") {
			continue
		}
		reader := yaml.NewYAMLReader(bufioReader(text))
		for {
			document, err := reader.Read()
			if err != nil {
				break
			}
			if o := decode(t, template, document); o != nil {
				decoded = append(decoded, o)
			}
		}
	}
	return decoded
}

func decode(t *testing.T, template string, document []byte) metav1.Object {
	t.Helper()
	text, err := sigsyaml.YAMLToJSONStrict(document)
	require.NoError(t, err, "%s:\n%s", template, document)
	if string(text) == "null" {
		return nil
	}
	var kind metav1.TypeMeta
	_, err = json.UnmarshalStrict(text, &kind)
	require.NoError(t, err)
	empty, ok := object[kind.APIVersion+" "+kind.Kind]
	require.True(t, ok, "%s: %s %s", template, kind.APIVersion, kind.Kind)
	o := empty()
	unknown, err := json.UnmarshalStrict(text, o)
	require.NoError(t, err, "%s:\n%s", template, document)
	require.Empty(t, unknown, "%s:\n%s", template, document)
	return o
}

// of returns the objects of a type by name.
func of[T metav1.Object](all []metav1.Object) map[string]T {
	found := make(map[string]T)
	for _, o := range all {
		if is, ok := o.(T); ok {
			found[o.GetName()] = is
		}
	}
	return found
}

// pods returns the template of every pod, by the name of its deployment or job.
func pods(all []metav1.Object) map[string]corev1.PodTemplateSpec {
	found := make(map[string]corev1.PodTemplateSpec)
	for name, d := range of[*appsv1.Deployment](all) {
		found[name] = d.Spec.Template
	}
	for name, j := range of[*batchv1.Job](all) {
		found[name] = j.Spec.Template
	}
	return found
}

// TestObjects: names and labels are valid, and every selector selects what it is meant for.
func TestObjects(t *testing.T) {
	everyValues(t, func(t *testing.T, name string) {
		all := objects(t, readValues(t, name))
		seen := make(map[string]bool)
		for _, o := range all {
			id := typeName(o) + " " + o.GetName()
			require.False(t, seen[id], id)
			seen[id] = true
			require.Empty(t, validation.IsDNS1035Label(o.GetName()), id)
			for key, value := range o.GetLabels() {
				require.Empty(t, validation.IsQualifiedName(key), id)
				require.Empty(t, validation.IsValidLabelValue(value), id)
			}
			require.Equal(t, "ordersaga", o.GetLabels()["app.kubernetes.io/name"], id)
		}
		templates := pods(all)
		// selected returns the pods that a selector selects.
		selected := func(s metav1.LabelSelector) (names []string) {
			selector, err := metav1.LabelSelectorAsSelector(&s)
			require.NoError(t, err)
			for name, p := range templates {
				if selector.Matches(labels.Set(p.Labels)) {
					names = append(names, name)
				}
			}
			return names
		}
		for name, d := range of[*appsv1.Deployment](all) {
			require.Equal(t, []string{name}, selected(*d.Spec.Selector))
			for _, spread := range d.Spec.Template.Spec.TopologySpreadConstraints {
				require.Equal(t, []string{name}, selected(*spread.LabelSelector))
			}
		}
		for name, b := range of[*policyv1.PodDisruptionBudget](all) {
			require.Equal(t, []string{name}, selected(*b.Spec.Selector))
		}
		for name, h := range of[*autoscalingv2.HorizontalPodAutoscaler](all) {
			require.Equal(t, name, h.Spec.ScaleTargetRef.Name)
			scaled, ok := of[*appsv1.Deployment](all)[name]
			require.True(t, ok, name)
			require.Nil(t, scaled.Spec.Replicas, "replicas would undo what the autoscaler has set")
		}
		for name, s := range of[*corev1.Service](all) {
			names := selected(metav1.LabelSelector{MatchLabels: s.Spec.Selector})
			require.NotEmpty(t, names, name)
			if !strings.HasSuffix(name, "-metrics") {
				require.Len(t, names, 1, "only pods of one role get requests")
				if strings.HasSuffix(name, "-codec") {
					require.True(t, strings.HasSuffix(names[0], "-codec-server"), names[0])
				} else {
					require.True(t, strings.HasSuffix(names[0], "-api") || strings.HasSuffix(names[0], "-serve"), names[0])
				}
			}
		}
		for name, p := range of[*networkingv1.NetworkPolicy](all) {
			names := selected(p.Spec.PodSelector)
			if strings.HasSuffix(name, "-api") || strings.HasSuffix(name, "-codec") {
				require.Len(t, names, 1)
			} else {
				require.Len(t, names, len(templates), "every pod, so that nothing else gets in or out")
				require.ElementsMatch(t, []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}, p.Spec.PolicyTypes)
			}
			for _, rule := range p.Spec.Ingress {
				require.NotEmpty(t, rule.Ports, "a rule without ports opens all of them")
			}
			for _, rule := range p.Spec.Egress {
				require.NotEmpty(t, rule.Ports)
			}
		}
		for _, m := range of[*monitoringv1.ServiceMonitor](all) {
			selector, err := metav1.LabelSelectorAsSelector(&m.Spec.Selector)
			require.NoError(t, err)
			matched := 0
			for _, s := range of[*corev1.Service](all) {
				if selector.Matches(labels.Set(s.Labels)) {
					matched++
					require.Equal(t, "ordersaga", s.Labels[m.Spec.JobLabel], "the rules select this job")
				}
			}
			require.Equal(t, 1, matched, "a pod is scraped once")
		}
		for _, i := range of[*networkingv1.Ingress](all) {
			for _, rule := range i.Spec.Rules {
				backend := rule.HTTP.Paths[0].Backend.Service
				s, ok := of[*corev1.Service](all)[backend.Name]
				require.True(t, ok, rule.Host)
				require.Equal(t, s.Spec.Ports[0].Port, backend.Port.Number)
			}
		}
	})
}

// TestEverythingIsOn: the values everything.yaml render every kind of object.
func TestEverythingIsOn(t *testing.T) {
	kinds := make(map[string]bool)
	for _, o := range objects(t, readValues(t, "everything")) {
		kinds[typeName(o)] = true
	}
	require.Len(t, kinds, len(object))
}

// TestRulesAndDashboards are those in deploy/prometheus and deploy/grafana.
func TestRulesAndDashboards(t *testing.T) {
	all := objects(t, readValues(t, "everything"))
	text, err := os.ReadFile(filepath.Join(root, "deploy", "prometheus", "rules.yml"))
	require.NoError(t, err)
	var rules monitoringv1.PrometheusRuleSpec
	require.NoError(t, sigsyaml.UnmarshalStrict(text, &rules))
	require.NotEmpty(t, rules.Groups)
	require.Equal(t, rules, of[*monitoringv1.PrometheusRule](all)["orders"].Spec)

	files, err := filepath.Glob(filepath.Join(root, "deploy", "grafana", "*.json"))
	require.NoError(t, err)
	dashboards := of[*corev1.ConfigMap](all)["orders-dashboards"]
	require.Len(t, dashboards.Data, len(files))
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.JSONEq(t, string(text), dashboards.Data["ordersaga-"+filepath.Base(file)])
	}
}
