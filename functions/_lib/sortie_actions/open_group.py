"""Closes risky ports that a security group opens to the internet, rule by rule, by rule id.

A rule opens a port if its protocol is TCP or UDP and its range holds the port, or if it allows all traffic (-1, no ports), and its source
is the internet: 0.0.0.0/0, ::/0, any very short prefix (the internet in two halves is the internet), or a prefix list that holds such an
entry. `keep_ports` names ports that stay open: a rule that covers one is replaced by rules for just those ports, which are added first.
"""

from __future__ import annotations

import ipaddress

import botocore.exceptions

from .core import Action, InvalidTarget, Refused, TargetNotFound, call, change, code_of

# The ports of the high-risk list that AWS's own benchmark uses, with databases that it leaves out.
RISKY_PORTS = (
    *(20, 21, 22, 23, 25, 110, 135, 143, 445, 1433, 1434, 3000, 3306, 3389, 4333, 5000, 5432, 5500, 5601),
    *(6379, 8080, 8088, 8888, 9200, 9300, 11211, 27017),
)
PROTOCOLS = {"tcp", "udp", "6", "17"}
IPV4_PREFIX_MAX, IPV6_PREFIX_MAX = 8, 16  # Shorter or equal: that is "the internet", unless it is private space.


class RemediateOpenSecurityGroup(Action):
    name = "RemediateOpenSecurityGroup"

    def plan(self, target: dict) -> dict:
        group = target.get("group_id")
        if not isinstance(group, str) or not group.startswith("sg-"):
            raise InvalidTarget('"target.group_id" must be a security group id')
        keep = target.get("keep_ports") or []
        ports = target.get("ports") or list(RISKY_PORTS)
        if not all(isinstance(port, int) and 0 <= port <= 65535 for port in [*keep, *ports]):
            raise InvalidTarget('"keep_ports" and "ports" must be lists of port numbers')
        changes, calls, state = [], [], {}
        for rule in self._exposing(group, ports, keep):
            identifier = rule["SecurityGroupRuleId"]
            kept = _kept(rule, keep)
            state[identifier] = _permission(rule) | {"keep": kept}
            after = f"only ports {', '.join(map(str, kept))}" if kept else "revoked"
            changes.append(change(f"{group}/{identifier}", "ingress rule", _shown(rule), after))
            if kept:
                calls.append(call("ec2", "AuthorizeSecurityGroupIngress", GroupId=group, Ports=kept))
            calls.append(call("ec2", "RevokeSecurityGroupIngress", GroupId=group, SecurityGroupRuleIds=[identifier]))
        users = self._interfaces(group)
        notes = [f"{len(users)} network interfaces use this group."]
        return self.make_plan({"group_id": group, "keep_ports": keep, "ports": ports}, changes, calls, state, notes)

    def apply_plan(self, plan: dict) -> dict:
        ec2, group = self.aws.client("ec2"), plan["target"]["group_id"]
        present = {rule["SecurityGroupRuleId"]: rule for rule in self._rules(group)}
        undo = []
        for identifier, planned in plan["state"].items():
            undo.append({"rule_id": identifier, "permission": planned["permission"], "added": planned["keep"]})
            if identifier not in present:
                continue
            if _permission(present[identifier])["permission"] != planned["permission"]:
                raise Refused(f"the rule {identifier} is not as the plan saw it")
        left = [identifier for identifier in plan["state"] if identifier in present]
        for identifier in left:
            for permission in _narrow(plan["state"][identifier]):
                self._authorize(group, permission)
        if left:
            ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=left)
        return {"status": "changed" if left else "already", "undo": {"group_id": group, "rules": undo}}

    def check(self, record: dict) -> list[dict]:
        target = record["target"]
        open_now = [rule["SecurityGroupRuleId"] for rule in self._exposing(target["group_id"], target["ports"], target["keep_ports"])]
        return [{"what": f"rules of {target['group_id']} that open risky ports", "expected": [], "found": open_now}]

    def restore(self, undo: dict, record: dict) -> str:
        restored = sum(self._authorize(undo["group_id"], entry["permission"]) for entry in undo["rules"])
        return "changed" if restored else "already"

    # ------------------------------------------------------------------------------------ rules

    def _authorize(self, group: str, permission: dict) -> int:
        try:
            self.aws.client("ec2").authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])
            return 1
        except botocore.exceptions.ClientError as error:
            if code_of(error) == "InvalidPermission.Duplicate":
                return 0
            raise

    def _rules(self, group: str) -> list[dict]:
        ec2 = self.aws.client("ec2")
        try:
            ec2.describe_security_groups(GroupIds=[group])
        except botocore.exceptions.ClientError as error:
            if code_of(error) in ("InvalidGroup.NotFound", "InvalidGroupId.Malformed"):
                raise TargetNotFound(f"there is no security group {group}") from error
            raise
        pages = ec2.get_paginator("describe_security_group_rules").paginate(Filters=[{"Name": "group-id", "Values": [group]}])
        rules = [rule for page in pages for rule in page["SecurityGroupRules"] if not rule["IsEgress"]]
        return sorted(rules, key=lambda rule: rule["SecurityGroupRuleId"])

    def _exposing(self, group: str, ports: list[int], keep: list[int]) -> list[dict]:
        risky = set(ports) - set(keep)
        return [rule for rule in self._rules(group) if _covers(rule, risky) and self._from_internet(rule)]

    def _from_internet(self, rule: dict) -> bool:
        if rule.get("PrefixListId"):
            pages = self.aws.client("ec2").get_paginator("get_managed_prefix_list_entries")
            return any(
                is_internet(entry["Cidr"]) for page in pages.paginate(PrefixListId=rule["PrefixListId"]) for entry in page["Entries"]
            )
        return is_internet(rule.get("CidrIpv4") or rule.get("CidrIpv6") or "")

    def _interfaces(self, group: str) -> list[str]:
        pages = self.aws.client("ec2").get_paginator("describe_network_interfaces")
        filters = [{"Name": "group-id", "Values": [group]}]
        return [eni["NetworkInterfaceId"] for page in pages.paginate(Filters=filters) for eni in page["NetworkInterfaces"]]


def is_internet(cidr: str) -> bool:
    try:
        network = ipaddress.ip_network(cidr, strict=False)
    except ValueError:
        return False
    if network.version == 6:
        mapped = ipaddress.ip_network("::ffff:0:0/96")
        if network.prefixlen >= 96 and network.subnet_of(mapped):
            length = network.prefixlen - 96
            return is_internet(f"{ipaddress.IPv4Address(int(network.network_address) & 0xFFFFFFFF)}/{length}")
        return network.prefixlen <= IPV6_PREFIX_MAX and not network.subnet_of(ipaddress.ip_network("fc00::/7"))
    return network.prefixlen <= IPV4_PREFIX_MAX and not network.subnet_of(ipaddress.ip_network("10.0.0.0/8"))


def _range(rule: dict) -> tuple[int, int] | None:
    if rule["IpProtocol"] == "-1":
        return 0, 65535
    if rule["IpProtocol"] in PROTOCOLS:
        first, last = rule.get("FromPort", -1), rule.get("ToPort", -1)
        return (0, 65535) if first == -1 else (first, last)
    return None


def _covers(rule: dict, ports: set[int]) -> bool:
    span = _range(rule)
    return span is not None and any(span[0] <= port <= span[1] for port in ports)


def _kept(rule: dict, keep: list[int]) -> list[int]:
    span = _range(rule)
    return sorted(port for port in keep if span and span[0] <= port <= span[1])


def _source(rule: dict) -> str:
    return rule.get("CidrIpv4") or rule.get("CidrIpv6") or rule.get("PrefixListId") or "?"


def _shown(rule: dict) -> str:
    span = _range(rule)
    ports = "all traffic" if rule["IpProtocol"] == "-1" else f"{rule['IpProtocol']} {span[0]}-{span[1]}" if span else rule["IpProtocol"]
    return f"{ports} from {_source(rule)}"


def _permission(rule: dict) -> dict:
    """The rule as Authorize takes it, so that it can be put back."""
    permission: dict = {"IpProtocol": rule["IpProtocol"]}
    if rule["IpProtocol"] != "-1":
        permission |= {"FromPort": rule.get("FromPort", -1), "ToPort": rule.get("ToPort", -1)}
    described = {"Description": rule["Description"]} if rule.get("Description") else {}
    if rule.get("CidrIpv4"):
        permission["IpRanges"] = [{"CidrIp": rule["CidrIpv4"]} | described]
    elif rule.get("CidrIpv6"):
        permission["Ipv6Ranges"] = [{"CidrIpv6": rule["CidrIpv6"]} | described]
    else:
        permission["PrefixListIds"] = [{"PrefixListId": rule.get("PrefixListId")} | described]
    return {"permission": permission}


def _narrow(planned: dict) -> list[dict]:
    protocol = planned["permission"]["IpProtocol"]
    narrow = {"IpProtocol": "tcp" if protocol == "-1" else protocol}
    source = {key: value for key, value in planned["permission"].items() if key in ("IpRanges", "Ipv6Ranges", "PrefixListIds")}
    return [narrow | {"FromPort": port, "ToPort": port} | source for port in planned["keep"]]
