"""Reports: one file a format. Each takes records.Report or records.Result and nothing else.

terminal       lines for a person, in 60 columns or more
json_report    the documented, stable JSON
junit          XML for the test tabs of GitLab and GitHub
html_page      one self-contained page a submission
table          the small table that a notebook shows under a cell
plain          student-written text made harmless, for all of them
wording        how points, statuses and places are worded, for all of them
writing        files written whole or not at all
"""
