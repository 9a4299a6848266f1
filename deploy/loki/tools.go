//go:build tools

// A server with the push call of Loki for the tests: VictoriaLogs in a pinned version.
//
// Built by deploy/host/setup.sh --test.
package tools

import _ "github.com/VictoriaMetrics/VictoriaLogs/app/victoria-logs"
