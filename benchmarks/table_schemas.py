"""Public schemas of the benchmark tables, written from their data dictionaries.

Value lists and bounds below are published with the tables (UCI attribute notes, NIST's data dictionary, the catalogue
of Mexico's health ministry, `kddcup.names`, the TIC dictionary of CoIL 2000), rounded up where a dictionary gives only
what occurs. So they are public knowledge in the schema's sense, and cost no budget. Where no list is published (ICD-9
codes, specialties, payers, industries, countries) the domain stays open and is derived with differential privacy.

>>> len(coil()["columns"])
86

Not guaranteed: that bounds so wide are the best ones; they are what a person could write without the table.
"""

from __future__ import annotations

from typing import Any

Columns = dict[str, dict[str, Any]]
OPEN: dict[str, Any] = {"kind": "categorical"}
UNKNOWN = {"kind": "categorical", "missing": ["?"]}


def words(text: str) -> list[str]:
    """Names written with blanks between them."""
    return text.split()


def among(*values: str | int) -> dict[str, Any]:
    """A closed set of categories."""
    return {"kind": "categorical", "values": list(values)}


def whole(low: int, high: int) -> dict[str, Any]:
    """Integers between public bounds."""
    return {"kind": "integer", "min": low, "max": high}


def decimal(low: float, high: float, places: int) -> dict[str, Any]:
    """Decimals between public bounds."""
    return {"kind": "float", "min": low, "max": high, "precision": places}


def document(columns: Columns, **roles: str) -> dict[str, Any]:
    """A schema as plain data; `roles` maps a role to the column that has it."""
    for role, name in roles.items():
        columns[name] = columns[name] | {"role": role}
    return {"version": 1, "columns": columns}


def nist() -> dict[str, Any]:
    """NIST Diverse Community Excerpts, national 2019; `N` is the dictionary's own "not applicable"."""
    areas = words("""
        01-01301 06-07502 06-08507 08-00803 13-04600 17-03529 17-03531 19-01700 24-01004 25-00503 25-00703 25-01000
        25-01300 25-02800 26-02702 28-01100 29-01901 30-00600 32-00405 36-03710 36-04010 38-00100 40-00200 48-02101
        48-02102 48-02507 48-02510 48-02515 48-02516 51-01301 51-51255
    """)
    difficulty = among("1", "2", "N")
    columns: Columns = {
        "PUMA": among(*areas),
        "AGEP": whole(0, 99),
        "SEX": among("1", "2"),
        "MSP": among(*_texts(1, 6), "N"),
        "HISP": among(*_texts(0, 4)),
        "RAC1P": among(*_texts(1, 9)),
        "NOC": among(*_texts(0, 19), "N"),
        "NPF": among(*_texts(2, 20), "N"),
        "HOUSING_TYPE": among("1", "2", "3"),
        "OWN_RENT": among("0", "1", "2"),
        "DENSITY": decimal(0.0, 60_000.0, 1),
        "INDP": OPEN,
        "INDP_CAT": among(*_texts(0, 18), "N"),
        "EDU": among(*_texts(1, 12), "N"),
        "PINCP": {"kind": "categorical", "drop": True},
        "PINCP_DECILE": among(*_texts(0, 9), "N"),
        "POVPIP": {"kind": "categorical", "drop": True},
        "DVET": among(*_texts(1, 6), "N"),
        "DREM": difficulty,
        "DPHY": difficulty,
        "DEYE": among("1", "2"),
        "DEAR": among("1", "2"),
        "PWGTP": whole(1, 9999),
        "WGTP": whole(0, 9999),
    }
    return document(columns, target="PINCP_DECILE")


def coil() -> dict[str, Any]:
    """CoIL 2000: M… are percentage bands of a postcode, P… bands of contributions, A… numbers of policies."""
    nominal = {"MOSTYPE": among(*range(1, 42)), "MOSHOOFD": among(*range(1, 11))}
    other = {"MAANTHUI": (1, 10), "MGEMOMV": (1, 6), "MGEMLEEF": (1, 6), "MKOOPKLA": (1, 8)}
    names = words("""
        MOSTYPE MAANTHUI MGEMOMV MGEMLEEF MOSHOOFD MGODRK MGODPR MGODOV MGODGE MRELGE MRELSA MRELOV MFALLEEN MFGEKIND
        MFWEKIND MOPLHOOG MOPLMIDD MOPLLAAG MBERHOOG MBERZELF MBERBOER MBERMIDD MBERARBG MBERARBO MSKA MSKB1 MSKB2
        MSKC MSKD MHHUUR MHKOOP MAUT1 MAUT2 MAUT0 MZFONDS MZPART MINKM30 MINK3045 MINK4575 MINK7512 MINK123M MINKGEM
        MKOOPKLA
    """)
    policies = words("""
        WAPART WABEDR WALAND PERSAUT BESAUT MOTSCO VRAAUT AANHANG TRACTOR WERKT BROM LEVEN PERSONG GEZONG WAOREG BRAND
        ZEILPL PLEZIER FIETS INBOED BYSTAND
    """)
    columns: Columns = {name: nominal.get(name) or whole(*other.get(name, (0, 9))) for name in names}
    columns |= {f"P{name}": whole(0, 9) for name in policies}
    columns |= {f"A{name}": whole(0, 12) for name in policies}
    return document(columns | {"Purchase": among("No", "Yes")}, target="Purchase")


def credit() -> dict[str, Any]:
    """Default of credit cards, UCI 350; undocumented codes that the UCI page's readers know are declared."""
    columns: Columns = {
        "ID": whole(1, 30_000) | {"role": "identifier"},
        "LIMIT_BAL": whole(0, 1_000_000),
        "SEX": among(1, 2),
        "EDUCATION": among(*range(7)),
        "MARRIAGE": among(*range(4)),
        "AGE": whole(18, 100),
    }
    columns |= {f"PAY_{month}": among(*range(-2, 10)) for month in range(1, 7)}
    columns |= {f"BILL_AMT{month}": whole(-1_000_000, 2_000_000) for month in range(1, 7)}
    columns |= {f"PAY_AMT{month}": whole(0, 2_000_000) for month in range(1, 7)}
    return document(columns | {"default.payment.next.month": among(0, 1)}, target="default.payment.next.month")


def covid() -> dict[str, Any]:
    """Mexico's line list of suspected cases; 97, 98, 99 are the catalogue's own codes and stay values."""
    states = among(*_padded(1, 32, 2), "36", "97", "98", "99")
    day = {"kind": "date", "min": "2020-01-01", "max": "2020-05-27"}
    answer = among(1, 2, 97, 98, 99)
    columns: Columns = {
        "FECHA_ACTUALIZACION": {"kind": "date", "drop": True},
        "ID_REGISTRO": OPEN | {"role": "identifier"},
        "ORIGEN": among(1, 2, 99),
        "SECTOR": among(*range(1, 14), 99),
        "ENTIDAD_UM": states,
        "SEXO": among(1, 2, 99),
        "ENTIDAD_NAC": states,
        "ENTIDAD_RES": states,
        "MUNICIPIO_RES": among(*_padded(1, 570, 3), "999"),
        "TIPO_PACIENTE": among(1, 2, 99),
        "FECHA_INGRESO": day,
        "FECHA_SINTOMAS": day,
        "FECHA_DEF": day | {"missing": ["9999-99-99"]},
        "INTUBADO": answer,
        "NEUMONIA": answer,
        "EDAD": whole(0, 120),
        "NACIONALIDAD": among(1, 2, 99),
    }
    answers = words("""
        EMBARAZO HABLA_LENGUA_INDIG DIABETES EPOC ASMA INMUSUPR HIPERTENSION OTRA_COM CARDIOVASCULAR OBESIDAD
        RENAL_CRONICA TABAQUISMO
    """)
    columns |= dict.fromkeys(answers, answer)
    columns |= {"OTRO_CASO": answer, "RESULTADO": among(1, 2, 3), "MIGRANTE": answer}
    columns |= {"PAIS_NACIONALIDAD": OPEN, "PAIS_ORIGEN": OPEN, "UCI": answer}
    return document(columns, target="FECHA_DEF") | {"constraints": [*_covid_order(), *_covid_codes()]}


def _covid_order() -> list[dict[str, Any]]:
    """Nobody is admitted or dies before falling ill. Some do die before they are admitted."""
    return [{"kind": "inequality", "low": "FECHA_SINTOMAS", "high": high} for high in ("FECHA_INGRESO", "FECHA_DEF")]


def _covid_codes() -> list[dict[str, Any]]:
    """97, does not apply: pregnancy for men (SEXO 2), intubation and intensive care for outpatients (type 1)."""
    cases = (("EMBARAZO", {"SEXO": [2]}), ("INTUBADO", {"TIPO_PACIENTE": [1]}), ("UCI", {"TIPO_PACIENTE": [1]}))
    return [{"kind": "not_applicable", "when": w, "column": c, "value": 97, "iff": True} for c, w in cases]


def diabetes() -> dict[str, Any]:
    """Hospital stays, UCI 296; diagnoses, specialties and payers are open sets, `?` is missing."""
    drugs = words("""
        metformin repaglinide nateglinide chlorpropamide glimepiride acetohexamide glipizide glyburide tolbutamide
        pioglitazone rosiglitazone acarbose miglitol troglitazone tolazamide examide citoglipton insulin
        glyburide-metformin glipizide-metformin glimepiride-pioglitazone metformin-rosiglitazone
        metformin-pioglitazone
    """)
    weights = ("[0-25)", "[25-50)", "[50-75)", "[75-100)", "[100-125)", "[125-150)", "[150-175)", "[175-200)", ">200")
    columns: Columns = {
        "encounter_id": {"kind": "integer", "role": "identifier"},
        "patient_nbr": {"kind": "integer", "role": "unit"},
        "race": among("AfricanAmerican", "Asian", "Caucasian", "Hispanic", "Other") | {"missing": ["?"]},
        "gender": among("Female", "Male", "Unknown/Invalid"),
        "age": among(*(f"[{low}-{low + 10})" for low in range(0, 100, 10))),
        "weight": among(*weights) | {"missing": ["?"]},
        "admission_type_id": among(*range(1, 9)),
        "discharge_disposition_id": among(*range(1, 31)),
        "admission_source_id": among(*range(1, 27)),
        "time_in_hospital": whole(1, 14),
        "payer_code": UNKNOWN,
        "medical_specialty": UNKNOWN,
        "num_lab_procedures": whole(0, 150),
        "num_procedures": whole(0, 6),
        "num_medications": whole(0, 100),
        "number_outpatient": whole(0, 50),
        "number_emergency": whole(0, 100),
        "number_inpatient": whole(0, 30),
        "diag_1": UNKNOWN,
        "diag_2": UNKNOWN,
        "diag_3": UNKNOWN,
        "number_diagnoses": whole(1, 16),
        "max_glu_serum": among("None", "Norm", ">200", ">300"),
        "A1Cresult": among("None", "Norm", ">7", ">8"),
    }
    columns |= {drug: among("No", "Steady", "Up", "Down") for drug in drugs}
    columns |= {"change": among("Ch", "No"), "diabetesMed": among("No", "Yes"), "readmitted": among("<30", ">30", "NO")}
    return document(columns, target="readmitted")


def communities(names: list[str]) -> dict[str, Any]:
    """Communities and crime, UCI 211: percentages and named families; `names` are the columns in the file's order."""
    states = words("""
        AK AL AR AZ CA CO CT DC DE FL GA HI IA ID IL IN KS KY LA MA MD ME MI MN MO MS MT NC ND NE NH NJ NM NV NY OH OK
        OR PA RI SC SD TN TX UT VA VT WA WI WV WY
    """)
    family: Columns = {"state": among(*states), "LemasGangUnitDeploy": among(0, 5, 10), "MedNumBR": whole(0, 10)}
    families = {
        "householdsize PersPerFam PersPerOccupHous PersPerOwnOccHous PersPerRentOccHous": decimal(0, 10, 2),
        "population numbUrban NumUnderPov NumImmig NumKidsBornNeverMar HousVacant": whole(0, 10_000_000),
        "medIncome medFamInc perCapInc whitePerCap blackPerCap indianPerCap AsianPerCap OtherPerCap HispPerCap": whole(
            0, 500_000
        ),
        "OwnOccLowQuart OwnOccMedVal OwnOccHiQuart OwnOccQrange": whole(0, 500_001),
        "RentLowQ RentMedian RentHighQ RentQrange MedRent": whole(0, 1001),
        "MedYrHousBuilt": whole(1939, 1990),
        "NumInShelters NumStreet LemasSwornFT LemasSwFTFieldOps OfficAssgnDrugUnits PolicCars": whole(0, 100_000),
        "LemasTotalReq": whole(0, 10_000_000),
        "PolicOperBudg": whole(0, 10_000_000_000),
        "NumKindsDrugsSeiz": whole(0, 20),
        "LandArea PopDens PolicAveOTWorked PolicReqPerOffic PolicPerPop": decimal(0, 100_000, 1),
        "LemasTotReqPerPop PolicBudgPerPop": decimal(0, 10_000_000, 1),
        "RacialMatchCommPol": decimal(0, 100, 2),
        "murders rapes robberies assaults burglaries larcenies autoTheft arsons": whole(0, 1_000_000),
    }
    family |= {name: spec for group, spec in families.items() for name in words(group)}
    for name in ("communityName", "countyCode", "communityCode", "fold"):
        family[name] = OPEN | {"role": "identifier"}
    columns: Columns = {}
    for name in names:
        rest = decimal(0, 100, 2) if "pct" in name.lower() else decimal(0, 100_000, 2)
        columns[name] = family.get(name, rest) | {"missing": ["?"]}
    return document(columns, target="ViolentCrimesPerPop")


def kdd() -> dict[str, Any]:
    """KDD Cup 1999, from `kddcup.names`; the test part has labels that no dictionary announced (`other`)."""
    services = words("""
        IRC X11 Z39_50 aol auth bgp courier csnet_ns ctf daytime discard domain domain_u echo eco_i ecr_i efs exec
        finger ftp ftp_data gopher harvest hostnames http http_2784 http_443 http_8001 imap4 iso_tsap klogin kshell
        ldap link login mtp name netbios_dgm netbios_ns netbios_ssn netstat nnsp nntp ntp_u other pm_dump pop_2 pop_3
        printer private red_i remote_job rje shell smtp sql_net ssh sunrpc supdup systat telnet tftp_u tim_i time
        urh_i urp_i uucp uucp_path vmnet whois
    """)
    labels = words("""
        back buffer_overflow ftp_write guess_passwd imap ipsweep land loadmodule multihop neptune nmap normal perl phf
        pod portsweep rootkit satan smurf spy teardrop warezclient warezmaster
    """)
    flags = words("OTH REJ RSTO RSTOS0 RSTR S0 S1 S2 S3 SF SH")
    columns: Columns = {
        "duration": whole(0, 100_000),
        "protocol_type": among("icmp", "tcp", "udp"),
        "service": among(*services),
        "flag": among(*flags),
        "src_bytes": whole(0, 1_000_000_000),
        "dst_bytes": whole(0, 1_000_000_000),
        "land": among(0, 1),
        "wrong_fragment": whole(0, 3),
        "urgent": whole(0, 20),
        "hot": whole(0, 200),
        "num_failed_logins": whole(0, 10),
        "logged_in": among(0, 1),
        "num_compromised": whole(0, 10_000),
        "root_shell": among(0, 1),
        "su_attempted": among(0, 1, 2),
        "num_root": whole(0, 10_000),
        "num_file_creations": whole(0, 200),
        "num_shells": whole(0, 10),
        "num_access_files": whole(0, 20),
        "num_outbound_cmds": whole(0, 10),
        "is_host_login": among(0, 1),
        "is_guest_login": among(0, 1),
        "count": whole(0, 511),
        "srv_count": whole(0, 511),
    }
    rates = "serror_rate srv_serror_rate rerror_rate srv_rerror_rate same_srv_rate diff_srv_rate srv_diff_host_rate"
    host = """
        dst_host_same_srv_rate dst_host_diff_srv_rate dst_host_same_src_port_rate dst_host_srv_diff_host_rate
        dst_host_serror_rate dst_host_srv_serror_rate dst_host_rerror_rate dst_host_srv_rerror_rate
    """
    columns |= {name: decimal(0, 1, 2) for name in words(rates)}
    columns |= {"dst_host_count": whole(0, 255), "dst_host_srv_count": whole(0, 255)}
    columns |= {name: decimal(0, 1, 2) for name in words(host)}
    return document(columns | {"label": among(*labels)}, target="label")


def _texts(low: int, high: int) -> list[str]:
    return [str(number) for number in range(low, high + 1)]


def _padded(low: int, high: int, width: int) -> list[str]:
    return [str(number).zfill(width) for number in range(low, high + 1)]
