package config

import (
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// hostPattern is a host name, or a wildcard for all subdomains of one.
var hostPattern = regexp.MustCompile(`^(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$`)

// hostNames are names without ports, in lower case. IP addresses are always allowed.
func hostNames(field *[]string) kind {
	return list(field, "list of host names",
		"host names without ports, separated by commas, such as orders.example.com,*.shop.svc.cluster.local, or *",
		func(name string, _ []string) (string, bool) {
			name = strings.TrimSuffix(strings.ToLower(name), ".")
			_, err := netip.ParseAddr(name)
			return name, name == "*" || hostPattern.MatchString(name) && err != nil
		})
}

// origins are origins as browsers send them: scheme, host, and the port unless it is the default port.
func origins(field *[]string) kind {
	return list(field, "list of origins", "origins separated by commas, such as https://shop.example.com,http://localhost:3000", originOf)
}

func originOf(text string, _ []string) (string, bool) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || strings.Contains(u.Host, "*") {
		return "", false
	}
	if u.User != nil || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" {
		return "", false
	}
	host := strings.ToLower(u.Host)
	if port := u.Port(); port == map[string]string{"http": "80", "https": "443"}[u.Scheme] {
		host = strings.TrimSuffix(host, ":"+port)
	}
	return u.Scheme + "://" + host, true
}

// Hosts returns the allowed host names of the API, besides localhost and IP addresses: those of HTTP_HOSTS, and the name in HTTP_ADDR, if
// any.
func (c Config) Hosts() []string {
	hosts := slices.Clone(c.HTTPHosts)
	if host, _, err := net.SplitHostPort(c.HTTPAddr); err == nil && host != "" {
		if _, err := netip.ParseAddr(host); err != nil {
			hosts = append(hosts, strings.ToLower(host))
		}
	}
	return hosts
}
