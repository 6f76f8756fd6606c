package config

import "net/url"

// checkParticipants requires that a shop's own services have a URL, that no URL is without effect, and that requests to other machines are
// signed.
func (l *loader) checkParticipants() {
	c := &l.config
	for _, s := range []struct{ choice, value, url, at string }{
		{"PAYMENT_GATEWAY", c.PaymentGateway, "PAYMENT_URL", c.PaymentURL},
		{"INVENTORY", c.Inventory, "INVENTORY_URL", c.InventoryURL},
	} {
		_, isSet := l.environment[s.url]
		switch remote := s.value == GatewayHTTP; {
		case s.value == "": // it has been reported
		case remote && !isSet:
			l.problem(s.url, "", "the URL of the service, because "+s.choice+" is "+s.value)
		case !remote && isSet:
			l.problem(s.choice, s.value, GatewayHTTP+", because "+s.url+" is set")
		case remote && len(c.ParticipantSecrets) == 0 && s.at != "" && !l.hasProblem("PARTICIPANT_SECRET") && !onThisMachine(s.at):
			l.problem("PARTICIPANT_SECRET", "", "the secret that signs requests, because "+s.url+" is not on this machine")
		}
	}
}

func (l *loader) hasProblem(name string) bool {
	for _, p := range l.problems {
		if p.Name == name || p.Name == name+fileSuffix {
			return true
		}
	}
	return false
}

// onThisMachine reports whether a URL names loopback.
func onThisMachine(at string) bool {
	u, err := url.Parse(at)
	return err == nil && isLoopback(u.Hostname()+":0")
}

// participantOver is the setting that lacks TLS if files for it are set.
func participantOver(c *Config) string {
	if c.PaymentURL == "" && c.InventoryURL != "" {
		return "INVENTORY_URL"
	}
	return "PAYMENT_URL"
}
