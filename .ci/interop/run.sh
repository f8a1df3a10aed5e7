#!/usr/bin/env bash
# gRPC's official interop client (grpc-go) against TestService on `serving`: every case that needs no
# credentials, in cleartext and under TLS.
#
# Run with `.ci/interop/run.sh [--stock]`; with --stock the service is on tonic's own server, and nothing is
# judged. It needs cargo, Go and the Go module proxy, and openssl. A case that fails and is not named in
# `known` fails the suite, and so does one that is named and passes.
set -euo pipefail
cd "$(dirname "$0")/../.."

. .ci/servers.sh

suites=$(.ci/service/build.sh)
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost,IP:127.0.0.1 \
    -keyout "$work/key.pem" -out "$work/cert.pem" 2>/dev/null

# All that the client knows, but for those with credentials of Google's.
cases=(empty_unary large_unary client_streaming server_streaming ping_pong empty_stream
    timeout_on_sleeping_server cancel_after_begin cancel_after_first_response status_code_and_message
    special_status_message custom_metadata unimplemented_method unimplemented_service pick_first_unary
    rpc_soak channel_soak orca_per_rpc orca_oob)

# The client collects reports of load only under this policy.
orca='{"loadBalancingConfig":[{"test_backend_metrics_load_balancer":{}}]}'

# run NAME CLIENT-OPTIONS: every case, one line each.
failed=0 passed=0
run() {
    local over=$1 port
    port=$(port testing gRPC)
    shift
    for case in "${cases[@]}"; do
        options=() outcome=passes
        [[ $case != orca_* ]] || options=(--service_config_json "$orca")
        timeout 60 "$suites/client" --server_host 127.0.0.1 --server_port "$port" --test_case "$case" \
            "${options[@]}" "$@" >"$work/client" 2>&1 || outcome=fails
        known=$(sed -n "s/^$case\( \|$\)//p" .ci/interop/known)
        case $outcome${known:+, as known} in
        passes) passed=$((passed + 1)) ;;
        'fails, as known') outcome="fails, as known: $known" ;;
        *)
            failed=$((failed + 1))
            [ -z "$known" ] || outcome="passes, but is named in .ci/interop/known"
            tail -n 2 "$work/client"
            ;;
        esac
        printf '%-10s %-28s %s\n' "$over" "$case" "$outcome"
    done
    stop testing
}

testing=("$suites/suite-service" testing --grpc-port 0 "$@")
serve testing "${testing[@]}"
run cleartext
serve testing "${testing[@]}" --tls-cert "$work/cert.pem" --tls-key "$work/key.pem"
run TLS --use_tls --use_test_ca --ca_file "$work/cert.pem" --server_host_override localhost

echo "interop: $passed of $((2 * ${#cases[@]})) cases pass"
[ "${1:-}" = --stock ] || [ "$failed" = 0 ]
