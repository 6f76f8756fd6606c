package config

// Remote has the settings of commands that call the REST API of a service.
type Remote struct {
	// URL is empty if it is not set.
	URL    string
	APIKey Secret
}

func remoteTable(r *Remote) []Setting {
	return []Setting{
		setting("ORDERSAGA_URL", "", webURL(&r.URL),
			"URL of the service. Default: `http://127.0.0.1:8080`. If it is set, `attention`, `resolve` and `dead-letters` use the REST API, too, instead of the stores."),
		setting("ORDERSAGA_API_KEY", "", text(&r.APIKey, trimmed).secret(), "API key or token with the scopes of the command."),
	}
}

// LoadRemote reads the settings. The error is an *Error.
func LoadRemote(environ []string) (Remote, error) {
	var r Remote
	l := loader{environment: newEnvironment(environ)}
	for _, s := range remoteTable(&r) {
		if value, source, ok := l.find(s); ok {
			l.set(s, value, source)
		}
	}
	if len(l.problems) > 0 {
		return Remote{}, &Error{Problems: l.problems}
	}
	return r, nil
}
