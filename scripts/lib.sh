# shellcheck shell=bash
# What the scripts share. Source it; it does nothing by itself.
#
# Every script takes --environment NAME (or AZURE_ENV_NAME) and --dry-run. `ask` runs what only reads, also in a dry run; `act` shows a
# command and runs it, or only shows it. Secrets never reach a command line that is shown.
set -euo pipefail

environment=${AZURE_ENV_NAME:-}
dry_run=${WARMLAKE_DRY_RUN:-}
arguments=()
# Seconds between two looks at something that takes its time.
pause=${WARMLAKE_POLL_SECONDS:-10}

fail() {
  echo "$(basename "$0"): $1" >&2
  exit 1
}

say() { echo "== $1"; }

# Print the comment at the head of a script: that is its manual.
usage() {
  sed -n '2,/^[^#]/{/^#/s/^# \{0,1\}//p;}' "$0"
}

# Take the options that all scripts have; what is left is in `arguments`.
parse_options() {
  while [ $# -gt 0 ]; do
    case $1 in
      --environment)
        [ $# -ge 2 ] || fail "--environment needs a name"
        environment=$2
        shift
        ;;
      --dry-run) dry_run=1 ;;
      --help)
        usage
        exit 0
        ;;
      *) arguments+=("$1") ;;
    esac
    shift
  done
  [ -n "$environment" ] || fail "no environment; give --environment NAME or set AZURE_ENV_NAME"
  command -v az >/dev/null || fail "the Azure CLI (az) is missing; see docs/deployment.md"
}

# Return the value of an option of this script, or its default.
option() {
  local name=$1 default=${2:-} index
  for index in "${!arguments[@]}"; do
    if [ "${arguments[$index]}" = "$name" ]; then
      [ $((index + 1)) -lt ${#arguments[@]} ] || fail "$name needs a value"
      echo "${arguments[$((index + 1))]}"
      return
    fi
  done
  echo "$default"
}

# End with a word about every option that the script does not have. $@: the options that it has, each with a value.
only_options() {
  local index=0 known
  while [ "$index" -lt ${#arguments[@]} ]; do
    known=
    for name in "$@"; do [ "${arguments[$index]}" = "$name" ] && known=1; done
    [ -n "$known" ] || fail "unknown option '${arguments[$index]}'; --help shows the known ones"
    index=$((index + 2))
  done
  [ "${1:-}" = --none ] || [ -n "${WARMLAKE_APPS:-}" ] || load_apps
}

ask() { "$@"; }

act() {
  local shown
  shown=$(printf ' %q' "$@")
  if [ -n "$dry_run" ]; then
    echo "would run:$shown"
  else
    echo "+$shown"
    "$@"
  fi
}

# ---- what is deployed ------------------------------------------------------------------------------------------------

global_group() { echo "rg-$environment-global"; }

traffic_manager() {
  ask az network traffic-manager profile list --resource-group "$(global_group)" --query '[0].name' --output tsv
}

# Ask once which apps there are, for this script and those that it calls.
load_apps() {
  WARMLAKE_APPS=$(ask az resource list --resource-type Microsoft.Web/sites --tag "warmlake-environment=$environment" --query \
    "sort_by([], &tags.\"warmlake-priority\")[].[location, resourceGroup, name, tags.\"warmlake-form\", tags.\"warmlake-priority\", tags.\"warmlake-sign-in\"]" \
    --output tsv)
  [ -n "$WARMLAKE_APPS" ] || fail "environment '$environment' has no apps; is it deployed, and in the present subscription?"
  export WARMLAKE_APPS
}

# A line for each app, in order of preference: region, group, name, form, priority, Entra registration of those who sign in.
apps() { echo "$WARMLAKE_APPS"; }

# Set region, group, app, form, registration and host to those of a region.
use_region() {
  local line
  line=$(apps | awk -F '\t' -v wanted="$1" '$1 == wanted') || true
  [ -n "$line" ] || fail "environment '$environment' has no app in '$1'; it has: $(apps | cut -f 1 | paste -sd ' ')"
  # shellcheck disable=SC2034 # the scripts use them
  IFS=$'\t' read -r region group app form _ registration <<<"$line"
  [ "$registration" != None ] || registration=
  host=$(ask az functionapp show --resource-group "$group" --name "$app" --query properties.defaultHostName --output tsv)
}

first_region() { apps | head -n 1 | cut -f 1; }

# The regions that users are sent to rather than to this one.
preferred_to() { apps | cut -f 1 | sed "/^$1\$/,\$d"; }

# ---- the app's API ---------------------------------------------------------------------------------------------------

# Authorise a call as an operator, for curl's standard input: by Entra where people sign in, else by the app's key. The deployment says
# which (the tag warmlake-sign-in), so nobody has to remember it on the day.
authorisation() {
  local token
  if [ -n "$registration" ]; then
    token=$(ask az account get-access-token --resource "api://$registration" --query accessToken --output tsv) ||
      fail "no token for api://$registration; docs/deployment.md, 'Sign-in', says what the registration needs"
    echo "header = \"Authorization: Bearer $token\""
  else
    token=$(ask az functionapp keys list --resource-group "$group" --name "$app" --query functionKeys.default --output tsv) ||
      fail "no function key of $app; whoever runs this needs Contributor on $group"
    echo "header = \"x-functions-key: $token\""
  fi
}

# Call a region as an operator. $1: path, the rest: options of curl. The credential is on no command line.
call() {
  local path=$1 credential
  shift
  credential=$(authorisation) || return
  curl --silent --show-error --config - "$@" "https://$host$path" <<<"$credential"
}

# Print the status code that a region answers with; 000 when it does not answer.
status_of() { call "$1" --output /dev/null --write-out '%{http_code}' --max-time 15 || true; }

get() { call "$1" --max-time 60; }

# POST a JSON body to a region as an operator, and print the answer, also one that refuses.
post() {
  local path=$1 body=$2
  if [ -n "$dry_run" ]; then
    echo "would post: https://$host$path $body"
    return
  fi
  echo "+ POST https://$host$path $body" >&2
  call "$path" --fail-with-body --max-time 120 --header 'Content-Type: application/json' --data "$body"
}

# Print the text of the first field of that name in a JSON answer.
field() { { grep -o "\"$1\": *\"[^\"]*\"" || true; } | head -n 1 | cut -d '"' -f 4; }

# Rebuild the index of a region, to the end. $1: the request.
rebuild() {
  local answer
  answer=$(post /api/recovery/rebuild "$1") || fail "$region does not start the rebuild: $answer"
  echo "$answer"
  follow_rebuild "$(field id <<<"$answer")"
}

# Wait until a rebuild has ended, and end with its failure. The app goes on with a rebuild that its own restart cut off, within a minute
# or two; one that says nothing for longer than that is not waited for, nor is one that takes longer than a night.
follow_rebuild() {
  local id=$1 report status silent=0 tries=${WARMLAKE_REBUILD_POLLS:-4320} patience=${WARMLAKE_SILENT_POLLS:-30}
  [ -z "$dry_run" ] || return 0
  while [ "$tries" -gt 0 ] && [ "$silent" -lt "$patience" ]; do
    report=$(get "/api/recovery/$id" || true)
    status=$(field status <<<"$report")
    echo "rebuild $id: ${status:-no answer} $(field phase <<<"$report")"
    case $status in
      running) silent=0 ;;
      interrupted | '') silent=$((silent + 1)) ;;
      completed) return 0 ;;
      *) fail "rebuild $id ended as $status; docs/runbook.md, 'Recompute the index', says what to do: $report" ;;
    esac
    tries=$((tries - 1))
    sleep "$pause"
  done
  fail "rebuild $id is not waited for any longer; /api/recovery/$id of $region shows it. Last answer: ${report:-none}"
}

# Wait until a region is healthy.
wait_healthy() {
  local tries=${1:-30} code
  [ -z "$dry_run" ] || return 0
  while [ "$tries" -gt 0 ]; do
    code=$(status_of /api/health)
    echo "$region: /api/health answers $code"
    [ "$code" != 200 ] || return 0
    tries=$((tries - 1))
    sleep "$pause"
  done
  fail "$region is not healthy: $(get /api/health || true)"
}

# Wait until a region answers an operator: after a change of its settings it starts anew. One that refuses is not asked twice.
wait_answering() {
  local tries=30 code
  [ -z "$dry_run" ] || return 0
  authorisation >/dev/null # ends the script where there is none
  while [ "$tries" -gt 0 ]; do
    code=$(status_of /api/recovery/latest)
    case $code in
      200 | 404) return 0 ;; # 404: there was no rebuild yet
      302 | 401 | 403) fail "$region does not take you for an operator (it answers $code); docs/deployment.md, 'Sign-in'" ;;
    esac
    tries=$((tries - 1))
    sleep "$pause"
  done
  fail "$region: /api/recovery/latest answers $code"
}

# ---- routing and the lake's mode -------------------------------------------------------------------------------------

# Switch a region in or out of routing, and note for the next `azd provision` which regions are out, so that it does not bring them back.
# $1: region, $2: Enabled or Disabled.
route() {
  local others
  others=$(disabled_regions | grep -vx "$1" || true)
  act az network traffic-manager endpoint update --resource-group "$(global_group)" --profile-name "$(traffic_manager)" \
    --type azureEndpoints --name "$1" --endpoint-status "$2" --output none
  [ "$2" = Enabled ] || others=$(printf '%s\n%s' "$others" "$1")
  remember WARMLAKE_DISABLED_REGIONS "$(listed <<<"$others")"
}

# Let the app of the region in use write to the lake, or not, and note it for the next `azd provision`. $1: true when the lake is only read.
read_lake_only() {
  local others
  others=$(read_only_regions | grep -vx "$region" || true)
  act az functionapp config appsettings set --resource-group "$group" --name "$app" --settings "LAKE_READ_ONLY=$1" --output none
  [ "$1" = false ] || others=$(printf '%s\n%s' "$others" "$region")
  remember WARMLAKE_READ_ONLY_REGIONS "$(listed <<<"$others")"
}

# Print the regions whose app must not write to the lake.
read_only_regions() {
  local place home name _
  while IFS=$'\t' read -r place home name _; do
    [ "$(ask az functionapp config appsettings list --resource-group "$home" --name "$name" \
      --query "[?name=='LAKE_READ_ONLY'].value" --output tsv)" != true ] || echo "$place"
  done < <(apps)
}

# Print the regions that are out of routing.
disabled_regions() {
  ask az network traffic-manager endpoint list --resource-group "$(global_group)" --profile-name "$(traffic_manager)" \
    --query "[?endpointStatus=='Disabled'].name" --output tsv
}

# Join lines with commas, as the parameters have lists.
listed() { sed '/^$/d' | paste -sd ,; }

# Keep a value for the next `azd provision`.
remember() {
  if command -v azd >/dev/null; then
    act azd env set "$1" "$2" --environment "$environment"
  else
    echo "note: provision with $1='$2' until this is undone"
  fi
}

# ---- packages --------------------------------------------------------------------------------------------------------

# Every package that a region was given is kept in its container `releases`, and says in its metadata when it was last deployed and since
# when it is known to be good. Metadata, not tags: a provisioning puts a resource's tags back to those of the template.

# Set the account that keeps the packages of the region in use.
use_releases() { storage=$(ask az storage account list --resource-group "$group" --query '[0].name' --output tsv); }

# Print the package that a region was given last.
current_release() { releases_by deployed | head -n 1; }

# Print the packages that have a mark, the newest first. $1: the mark.
releases_by() {
  ask az storage blob list --account-name "$storage" --container-name releases --auth-mode login --include m --num-results '*' \
    --query "reverse(sort_by([?metadata.$1], &metadata.$1))[].name" --output tsv
}

# Replace the marks of a package. $1: its name, the rest: MARK=TIME.
mark_release() {
  local name=$1
  shift
  act az storage blob metadata update --account-name "$storage" --container-name releases --name "$name" --auth-mode login \
    --metadata "$@" --output none
}

# A time that sorts as text.
moment() { python3 -c 'from datetime import UTC, datetime; print(datetime.now(UTC).isoformat(timespec="microseconds"))'; }

deploy_package() {
  act az functionapp deployment source config-zip --resource-group "$group" --name "$app" --src "$1" --build-remote false \
    --timeout 900 --output none
}

# Run what only reads or repeats itself harmlessly until it succeeds: a role that was just given takes minutes to be known everywhere.
patiently() {
  local tries=30
  until "$@"; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || return 1
    sleep "$pause"
  done
}
