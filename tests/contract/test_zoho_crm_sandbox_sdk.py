"""The sandbox's Zoho organisation, driven by Zoho's own SDK for Python (zohocrmsdk8-0)."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from zohocrmsdk.src.com.zoho.api.authenticator.oauth_token import OAuthToken
from zohocrmsdk.src.com.zoho.api.authenticator.store import FileStore
from zohocrmsdk.src.com.zoho.api.logger import Logger
from zohocrmsdk.src.com.zoho.crm.api import HeaderMap, Initializer, ParameterMap, bulk_read, coql, notifications
from zohocrmsdk.src.com.zoho.crm.api import record as records
from zohocrmsdk.src.com.zoho.crm.api.dc.data_center import DataCenter
from zohocrmsdk.src.com.zoho.crm.api.exception import SDKException
from zohocrmsdk.src.com.zoho.crm.api.modules import MinifiedModule
from zohocrmsdk.src.com.zoho.crm.api.record import Record, RecordOperations
from zohocrmsdk.src.com.zoho.crm.api.record.record_operations import (
    DeleteRecordsParam,
    GetDeletedRecordsParam,
    GetRecordsHeader,
    GetRecordsParam,
)
from zohocrmsdk.src.com.zoho.crm.api.sdk_config import SDKConfig

from tests.contract.sandboxes import sandbox
from tests.contract.zoho_crm_vendor import CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, SIZES, ZohoOrganisation


@pytest.fixture(scope="module")
def zoho_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with sandbox("zoho_crm", "--customers", "1", folder=tmp_path_factory.mktemp("zoho")) as url:
        yield url


@pytest.fixture
def organisation(zoho_url: str) -> Iterator[ZohoOrganisation]:
    with requests.Session() as session:
        found = ZohoOrganisation(zoho_url, session)
        found.post("reset", {"vendor": "zoho_crm", "sizes": SIZES})
        yield found


@pytest.fixture
def sdk(organisation: ZohoOrganisation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ZohoOrganisation:
    """The organisation, with the SDK told where it is; its tokens come from the sandbox's accounts server."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    signed_in(organisation, tmp_path, refresh_token=REFRESH_TOKEN)
    return organisation


def signed_in(organisation: ZohoOrganisation, folder: Path, **token: Any) -> None:
    url = organisation.base_url
    Initializer.initialize(
        environment=DataCenter.Environment(url, f"{url}/oauth/v2/token", url),
        token=OAuthToken(client_id=CLIENT_ID, client_secret=CLIENT_SECRET, find_user=False, **token),
        store=FileStore(str(folder / "tokens.csv")),
        sdk_config=SDKConfig(auto_refresh_fields=False, pick_list_validation=False, connect_timeout=5, read_timeout=20),
        resource_path=str(folder),
        logger=Logger.get_instance(level=Logger.Levels.ERROR, file_path=str(folder / "sdk.log")),
    )


def parameters(**wanted: Any) -> ParameterMap:
    found = ParameterMap()
    for name, value in wanted.items():
        found.add(getattr(GetRecordsParam, name), value)
    return found


def listed(module: str, since: datetime | None = None, **wanted: Any) -> Any:
    """What a list answers: status, and the SDK's object of it."""
    headers = HeaderMap()
    if since is not None:
        headers.add(GetRecordsHeader.if_modified_since, since)
    return RecordOperations(module).get_records(parameters(**wanted), headers)


def body_of(*given: Record) -> records.BodyWrapper:
    body = records.BodyWrapper()
    body.set_data(list(given))
    return body


def made(**values: Any) -> Record:
    record = Record()
    for name, value in values.items():
        record.add_key_value(name, value)
    return record


def test_the_sdk_gets_an_access_token_for_a_consent_and_uses_it_again(sdk: ZohoOrganisation) -> None:
    for _ in range(3):
        assert listed("Accounts", fields="Account_Name").get_status_code() == 200
    assert sdk.ask("tokens") == {"refreshes": 1, "alive": 1}


def test_the_sdk_redeems_a_code_of_the_console(organisation: ZohoOrganisation, tmp_path: Path) -> None:
    code = organisation.door("tokens", {"code": ["ZohoCRM.modules.ALL", "ZohoCRM.settings.READ"]})["code"]
    signed_in(organisation, tmp_path, grant_token=code)
    assert listed("Accounts", fields="Account_Name").get_status_code() == 200
    assert "1000." in (tmp_path / "tokens.csv").read_text()


def test_an_error_of_the_accounts_server_comes_with_status_200_and_the_sdk_sees_it(
    organisation: ZohoOrganisation, tmp_path: Path
) -> None:
    with pytest.raises(SDKException, match="invalid_code"):
        signed_in(organisation, tmp_path, refresh_token="1000.nobody.knows-this")


def test_pages_by_number_then_by_token_hold_every_record_once(sdk: ZohoOrganisation) -> None:
    first = listed("Accounts", fields="Account_Name,Modified_Time", per_page=5, page=1, sort_by="Modified_Time")
    ids = [record.get_id() for record in first.get_object().get_data()]
    info = first.get_object().get_info()
    while info.get_more_records():
        page = listed(
            "Accounts",
            fields="Account_Name,Modified_Time",
            per_page=5,
            page_token=info.get_next_page_token(),
            sort_by="Modified_Time",
        ).get_object()
        ids += [record.get_id() for record in page.get_data()]
        info = page.get_info()
    assert sorted(map(str, ids)) == sorted(sdk.modified("customer"))


def test_records_are_what_the_sdk_expects_of_their_types(sdk: ZohoOrganisation) -> None:
    (order,) = (
        RecordOperations("Sales_Orders").get_record(int(next(iter(sdk.modified("order"))))).get_object().get_data()
    )
    assert isinstance(order.get_key_value("Account_Name"), Record)
    assert order.get_key_value("Modified_Time").utcoffset() is not None
    assert order.get_key_value("Due_Date").year == 1970
    lines = order.get_key_value("Ordered_Items")
    assert lines and all(line.get_key_value("Product_Name").get_id() for line in lines)
    assert abs(sum(line.get_key_value("Net_Total") for line in lines) - order.get_key_value("Sub_Total")) < 0.01
    assert order.get_key_value("Owner").get_email().endswith("@alpe-adria.example")


def test_nothing_new_is_an_empty_answer(sdk: ZohoOrganisation) -> None:
    far = datetime.now().astimezone() + timedelta(days=365)
    assert listed("Accounts", since=far, fields="Account_Name").get_status_code() == 304
    sdk.delete("deal", list(sdk.modified("deal")))
    assert listed("Deals", fields="Deal_Name").get_status_code() == 204


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ({}, "REQUIRED_PARAM_MISSING"),
        ({"fields": "Account_Name", "page": 11, "per_page": 200}, "DISCRETE_PAGINATION_LIMIT_EXCEEDED"),
        ({"fields": "Account_Name", "page_token": "0" * 80}, "TOKEN_BOUND_DATA_MISMATCH"),
        ({"fields": "Account_Name", "page": 1, "page_token": "0" * 80}, "AMBIGUITY_DURING_PROCESSING"),
        ({"fields": ",".join(f"F{number}" for number in range(51))}, "LIMIT_EXCEEDED"),
    ],
)
def test_wrong_requests_are_refused_by_code(sdk: ZohoOrganisation, wanted: dict[str, Any], code: str) -> None:
    answer = listed("Accounts", **wanted)
    assert answer.get_status_code() == 400
    assert answer.get_object().get_code().get_value() == code


def test_each_record_of_a_write_has_its_own_outcome(sdk: ZohoOrganisation) -> None:
    operations = RecordOperations("Accounts")
    # The SDK itself checks what is mandatory; a value that is taken is for the server to find.
    answer = operations.create_records(
        body_of(
            made(Account_Name="SDK One", ERPflow_Id="sdk-1"),
            made(Account_Name="SDK Two", ERPflow_Id="sdk-1"),
            made(Account_Name="SDK Three", ERPflow_Id="sdk-3"),
        )
    )
    rows = answer.get_object().get_data()
    assert answer.get_status_code() == 207
    assert [row.get_status().get_value() for row in rows] == ["success", "error", "success"]
    assert rows[1].get_code().get_value() == "DUPLICATE_DATA"
    assert rows[1].get_details()["json_path"] == "$.data[1].ERPflow_Id"

    again = records.BodyWrapper()
    again.set_data([made(Account_Name="SDK One, renamed", ERPflow_Id="sdk-1")])
    again.set_duplicate_check_fields(["ERPflow_Id"])
    (row,) = operations.upsert_records(again).get_object().get_data()
    assert (row.get_action().get_value(), row.get_duplicate_field()) == ("update", "ERPflow_Id")
    assert row.get_details()["id"] == rows[0].get_details()["id"]


def test_deleted_records_are_in_their_list(sdk: ZohoOrganisation) -> None:
    gone = list(sdk.modified("deal"))[:3]
    wanted = ParameterMap()
    wanted.add(DeleteRecordsParam.ids, ",".join(gone))
    rows = RecordOperations("Deals").delete_records(wanted).get_object().get_data()
    assert [row.get_message().get_value() for row in rows] == ["record deleted"] * 3
    wanted = ParameterMap()
    wanted.add(GetDeletedRecordsParam.type, "all")
    found = RecordOperations("Deals").get_deleted_records(wanted).get_object().get_data()
    assert sorted(str(row.get_id()) for row in found) == sorted(gone)
    assert {row.get_type() for row in found} == {"recycle"}


def test_coql_selects(sdk: ZohoOrganisation) -> None:
    body = coql.BodyWrapper()
    body.set_select_query(
        "select Last_Name, Email from Contacts where (Email is not null and Title != 'x') order by id asc limit 0, 3"
    )
    found = coql.CoqlOperations().get_records(body).get_object()
    assert len(found.get_data()) == 3 and found.get_info().get_more_records()


def test_a_bulk_read_job_ends_in_a_zip_with_one_csv(sdk: ZohoOrganisation) -> None:
    module = MinifiedModule()
    module.set_api_name("Accounts")
    query = bulk_read.Query()
    query.set_module(module)
    query.set_fields(["Account_Name", "Modified_Time", "Owner"])
    query.set_page(1)
    body = bulk_read.BodyWrapper()
    body.set_query(query)
    operations = bulk_read.BulkReadOperations()
    (added,) = operations.create_bulk_read_job(body).get_object().get_data()
    job = added.get_details()["id"]
    states = []
    while not states or states[-1] != "COMPLETED":
        (detail,) = operations.get_bulk_read_job_details(int(job)).get_object().get_data()
        states.append(detail.get_state().get_value())
        assert len(states) < 10
    assert states == ["ADDED", "IN PROGRESS", "COMPLETED"]
    stream = operations.download_result(int(job)).get_object().get_file()
    with zipfile.ZipFile(io.BytesIO(b"".join(stream.get_stream()))) as archive:
        (name,) = archive.namelist()
        rows = list(csv.DictReader(io.StringIO(archive.read(name).decode())))
    assert sorted(row["Id"] for row in rows) == sorted(sdk.modified("customer"))
    assert {len(row["Owner"]) for row in rows} == {18}


def test_channels_are_opened_listed_and_closed(sdk: ZohoOrganisation) -> None:
    channel = notifications.Notification()
    channel.set_channel_id("1000000068001")
    channel.set_events(["Accounts.all", "Deals.edit"])
    channel.set_notify_url("https://hook.example.com/zoho")
    channel.set_token("a-secret-of-ours")
    channel.set_channel_expiry(datetime.now().astimezone().replace(microsecond=0) + timedelta(days=2))
    body = notifications.BodyWrapper()
    body.set_watch([channel])
    operations = notifications.NotificationsOperations()
    (row,) = operations.enable_notifications(body).get_object().get_watch()
    assert row.get_status().get_value() == "success"
    (found,) = operations.get_notifications().get_object().get_watch()
    assert (str(found.get_channel_id()), found.get_token()) == ("1000000068001", "a-secret-of-ours")
    sdk.create("deal", 1)
    sdk.create("customer", 2)
    callbacks = sdk.ask("callbacks")
    assert [(each["body"]["module"], each["body"]["operation"]) for each in callbacks] == [("Accounts", "insert")] * 2
    wanted = ParameterMap()
    wanted.add(notifications.notifications_operations.DeleteNotificationParam.channel_ids, "1000000068001")
    (row,) = operations.delete_notification(wanted).get_object().get_watch()
    assert row.get_status().get_value() == "success"
    assert operations.get_notifications().get_status_code() == 204
