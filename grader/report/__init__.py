"""Reports: one file for each format. Each takes records.Report or records.Result, nothing else.

terminal       lines for a person, in 60 columns or more
json_report    the documented, stable JSON
junit          XML for the test tabs of GitLab and GitHub
github         annotations and a job summary for GitHub Actions
gradescope     results.json for Gradescope
classroom50    result.json for Classroom 50
html_page      one self-contained page for each submission
table          the small table that a notebook shows under a cell
changes        the list of earlier runs, and the differences between two
wording        the words for points, statuses and places, in all formats
"""
